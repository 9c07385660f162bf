// One clip: recorded, chosen or dropped; its waveform and what is wrong.
import { decode, duration } from "./audio.js";
import { embed } from "./model.js";
import { LONGEST_S, record } from "./recorder.js";

const COLUMNS = 400;

export class ClipCard {
  /**
   * `onChange()` follows each new waveform or its loss; `onRecording(card)`
   * each recording that begins, with null when it ends.
   */
  constructor(number, facts, onChange, onRecording) {
    Object.assign(this, { number, facts, onChange, onRecording });
    this.wave = null;
    this.embedding = null;
    this.recorder = null;
    this.turn = 0;
    this.onSecondFile = () => {};
    const template = document.getElementById("clip").content;
    this.node = template.firstElementChild.cloneNode(true);
    this.part = (selector) => this.node.querySelector(selector);
    this.#name();
    this.#listen();
  }

  /** Takes a file in place of what was there. */
  async take(file) {
    const turn = ++this.turn;
    this.#clear();
    this.#about(`Reading ${file.name} …`);
    try {
      const wave = await decode(file, this.facts);
      if (turn === this.turn) {
        this.#show(wave, file);
      }
    } catch (error) {
      if (turn === this.turn) {
        this.#about("No clip.");
        this.#say(error.message);
      }
    }
  }

  /** Embeds the clip, once; its time is told beside it. */
  async embed(model) {
    if (this.embedding !== null) {
      return;
    }
    const { wave } = this;
    const found = await embed(model, wave);
    if (wave !== this.wave) {
      return;
    }
    this.embedding = found.values;
    const parts = found.windows > 1 ? `, in ${found.windows} windows` : "";
    this.#about(`${this.told}; embedded in ${found.ms.toFixed(1)} ms${parts}.`);
  }

  /** Whether the other clip has the microphone. */
  rest(resting) {
    this.part(".record").disabled = resting;
  }

  #name() {
    const title = this.part("h2");
    title.textContent = `Clip ${this.number}`;
    title.id = `clip-${this.number}`;
    this.node.setAttribute("aria-labelledby", title.id);
    this.part("audio").setAttribute("aria-label", `Play clip ${this.number}`);
    this.#label("Record");
    this.part("input").setAttribute(
      "aria-label",
      `Choose a file for clip ${this.number}`,
    );
  }

  #listen() {
    const input = this.part("input");
    input.addEventListener("change", () => {
      if (input.files.length > 0) {
        this.take(input.files[0]);
      }
      input.value = ""; // the same file may be chosen again
    });
    this.part(".record").addEventListener("click", () => this.#toggle());
    const over = (held) => this.node.classList.toggle("over", held);
    this.node.addEventListener("dragover", () => over(true));
    this.node.addEventListener("dragleave", () => over(false));
    this.node.addEventListener("drop", (event) => {
      over(false);
      const [first, second] = event.dataTransfer.files;
      if (first) {
        this.take(first);
      }
      if (second) {
        this.onSecondFile(second);
      }
    });
  }

  /** Begins or ends a recording. */
  async #toggle() {
    if (this.recorder !== null) {
      const recorder = this.recorder;
      this.recorder = null;
      this.#label("Record");
      this.onRecording(null);
      this.#level(0);
      await this.take(await recorder.stop());
      return;
    }
    this.turn += 1;
    this.#clear();
    this.#about("Asking for the microphone …");
    this.onRecording(this);
    this.part(".record").disabled = true;
    try {
      this.recorder = await record((...heard) => this.#hear(...heard));
      this.#label("Stop");
      this.#about(`Recording, ${LONGEST_S} s at most. Press Stop to end it.`);
    } catch (error) {
      this.onRecording(null);
      this.#about("No clip.");
      this.#say(error.message);
    }
    this.part(".record").disabled = false;
  }

  /** Shows that something is heard, and for how long. */
  #hear(seconds, peak) {
    if (this.recorder === null) {
      return;
    }
    this.#level(peak);
    this.part(".hint").textContent = `${seconds.toFixed(1)} s`;
    if (seconds >= LONGEST_S) {
      this.#toggle();
    }
  }

  /** A bar of -60 to 0 dB of full scale. */
  #level(peak) {
    const share = 1 + Math.log10(Math.max(peak, 1e-3)) / 3;
    this.part(".level div").style.width = `${100 * Math.min(1, share)}%`;
  }

  #label(text) {
    const button = this.part(".record");
    button.textContent = text;
    button.setAttribute("aria-label", `${text} clip ${this.number}`);
    button.classList.toggle("active", text === "Stop");
    this.part(".hint").textContent = "or drop one here";
  }

  #show(wave, file) {
    this.wave = wave;
    const seconds = wave.length / this.facts.sample_rate;
    this.told = `${file.name}, ${duration(seconds)}`;
    this.#about(`${this.told}.`);
    this.part("path").setAttribute("d", outline(wave));
    this.part(".wave").setAttribute(
      "aria-label",
      `Waveform of clip ${this.number}, ${duration(seconds)}`,
    );
    const audio = this.part("audio");
    audio.src = URL.createObjectURL(file);
    audio.hidden = false;
    this.onChange();
  }

  #clear() {
    const audio = this.part("audio");
    if (!audio.hidden) {
      URL.revokeObjectURL(audio.src);
      audio.removeAttribute("src");
      audio.hidden = true;
    }
    this.wave = null;
    this.embedding = null;
    this.#say("");
    this.part("path").setAttribute("d", `M0 50H${COLUMNS}`);
    this.part(".wave").setAttribute("aria-label", "No waveform yet");
    this.onChange();
  }

  #about(text) {
    this.part(".about").textContent = text;
  }

  #say(text) {
    this.part(".message").textContent = text;
  }
}

/** The least and the largest sample of each column, as an SVG path. */
function outline(wave) {
  const extent = (one) => wave.subarray(
    Math.floor((one * wave.length) / COLUMNS),
    Math.ceil(((one + 1) * wave.length) / COLUMNS),
  );
  const peak = wave.reduce((most, one) => Math.max(most, Math.abs(one)), 1e-9);
  let path = "";
  for (let column = 0; column < COLUMNS; column += 1) {
    const samples = extent(column);
    const [low, high] = [Math.min, Math.max].map((choose) =>
      samples.reduce((found, value) => choose(found, value), 0),
    );
    const [top, bottom] = [high, low].map((value) => 50 - (48 * value) / peak);
    path += `M${column + 0.5} ${(top - 0.4).toFixed(1)}V${(bottom + 0.4).toFixed(1)}`;
  }
  return path;
}
