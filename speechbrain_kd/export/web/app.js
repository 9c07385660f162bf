// The page: two clips, the model, and what it finds.
import { ClipCard } from "./clip.js";
import { measure, openModel } from "./model.js";
import { showFacts, showFailure, showNothing, showVerdict } from "./result.js";

const status = document.getElementById("status");
const cards = [];
let model = null;
let comparison = 0;

start();

/** Loads the facts, then the cards, then the model. */
async function start() {
  try {
    const facts = await (await asked("model.json")).json();
    document.title = `Same speaker? – ${facts.name}`;
    showFacts(facts, null);
    for (const number of [1, 2]) {
      cards.push(new ClipCard(number, facts, compare, recording));
    }
    document.getElementById("clips").append(...cards.map((card) => card.node));
    holdDrops();
    const content = await (await asked("model.onnx")).arrayBuffer();
    model = await openModel(facts, content);
    showFacts(facts, model);
    status.textContent = "The model is ready.";
    compare();
  } catch (error) {
    status.classList.add("message");
    status.textContent = `The model did not load: ${error.message}`;
  }
}

/** Fetches a file of this folder. */
async function asked(name) {
  const answer = await fetch(name);
  if (!answer.ok) {
    throw new Error(`${name}: the server answers ${answer.status}`);
  }
  return answer;
}

/** Compares the clips, if there are two; the latest call is the one shown. */
async function compare() {
  const turn = ++comparison;
  const missing = cards.filter((card) => card.wave === null).length;
  if (missing > 0 || model === null) {
    showNothing(
      ["The model is not loaded yet.", "Another clip is needed."][missing] ??
        "Two clips are needed.",
    );
    return;
  }
  try {
    for (const card of cards) {
      await card.embed(model);
      if (turn !== comparison) {
        return;
      }
    }
    showVerdict(model.facts, ...cards.map((card) => card.embedding));
    // Once the verdict is painted.
    setTimeout(() => measure(model).then(() => showFacts(model.facts, model)), 50);
  } catch (error) {
    if (turn === comparison) {
      showFailure(error.message);
    }
  }
}

/** While one clip is recorded, the other one's microphone rests. */
function recording(active) {
  for (const card of cards) {
    card.rest(active !== null && card !== active);
  }
}

/** A file that is dropped beside the cards must not replace the page. */
function holdDrops() {
  for (const name of ["dragover", "drop"]) {
    addEventListener(name, (event) => event.preventDefault());
  }
  for (const [one, other] of [cards, [...cards].reverse()]) {
    one.onSecondFile = (file) => other.take(file);
  }
}
