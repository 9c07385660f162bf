// What the model finds, in words, as a number and on a scale.

const part = (id) => document.getElementById(id);

/** Says what is waited for. */
export function showNothing(text) {
  reset();
  part("verdict").textContent = text;
}

/** Says that the comparison failed. */
export function showFailure(text) {
  reset();
  part("verdict").textContent = "No result.";
  part("failure").textContent = text;
}

/** Shows the similarity of two embeddings of norm 1, and the decision. */
export function showVerdict(facts, one, other) {
  reset();
  const product = one.reduce((sum, value, i) => sum + value * other[i], 0);
  const score = Math.min(1, Math.max(-1, product));
  const { threshold, slope, offset } = facts;
  const verdict = part("verdict");
  if (threshold === null) {
    verdict.textContent = "No decision: this model has no threshold.";
  } else {
    const same = score >= threshold;
    verdict.textContent = same ? "Same speaker" : "Different speakers";
    verdict.classList.add(same ? "same" : "different");
    part("rule").textContent = `; ${threshold.toFixed(3)} or more counts as one speaker.`;
  }
  part("score").value = String(score);
  part("score").textContent = signed(score, 3);
  part("score-line").hidden = false;
  if (slope !== null) {
    showRatio(slope * score + offset);
  }
  showScale(score, threshold);
}

/** The likelihood ratio, and what it says. */
function showRatio(llr) {
  const [likelier, than] =
    llr >= 0 ? ["one speaker", "two"] : ["two speakers", "one"];
  part("llr").value = String(llr);
  part("llr").textContent = signed(llr, 2);
  part("odds").textContent =
    `: such a similarity is ${amount(Math.exp(Math.abs(llr)))} times as ` +
    `likely of ${likelier} as of ${than}.`;
  part("llr-line").hidden = false;
}

/** How many times, to two digits. */
function amount(times) {
  if (times > 10000) {
    return `more than ${spaced(10000)}`;
  }
  return spaced(Number(times.toPrecision(2)), times < 10 ? 1 : 0);
}

/** Where on -1 to 1 the similarity and the threshold lie. */
function showScale(score, threshold) {
  const scale = part("scale");
  const at = (value) => `${50 * (value + 1)}%`;
  scale.querySelector(".mark").style.left = at(score);
  const tick = scale.querySelector(".tick");
  const accepted = scale.querySelector(".accepted");
  tick.hidden = accepted.hidden = threshold === null;
  let told = `Similarity ${signed(score, 3)} on a scale from −1 to 1`;
  if (threshold !== null) {
    tick.style.left = accepted.style.left = at(threshold);
    told += `, with the threshold at ${signed(threshold, 3)}`;
  }
  scale.setAttribute("aria-label", told);
  scale.hidden = false;
}

/** Lists what is known of the model. */
export function showFacts(facts, model) {
  const rows = [
    ["Name", facts.name],
    ["Size", size(facts)],
    ["Runtime", `${facts.runtime}, ${megabytes(facts.runtime_bytes)}`],
    ["Latency", model && latency(model)],
    ["Threshold", facts.threshold?.toFixed(3) ?? "none: not calibrated"],
    ["Embedding", `${facts.dimension} numbers`],
    ["Input", `one channel at ${facts.sample_rate} Hz, from ${facts.shortest_s} s`],
    ["Licence", facts.licence],
    ["SHA-256", facts.sha256],
  ];
  const nodes = rows
    .filter(([, value]) => value)
    .map(([name, value]) => {
      const row = document.createElement("div");
      const [term, description] = ["dt", "dd"].map((tag) =>
        row.appendChild(document.createElement(tag)),
      );
      term.textContent = name;
      description.textContent = value;
      return row;
    });
  part("facts").replaceChildren(...nodes);
}

function size(facts) {
  const kilobytes = `${spaced(facts.bytes / 1000)} kB`;
  if (!facts.weights) {
    return kilobytes;
  }
  const both = facts.arithmetic === facts.weights ? " and arithmetic" : "";
  return `${kilobytes}, ${facts.weights} weights${both}`;
}

function latency(model) {
  return (
    `${model.msPerSecond.toFixed(1)} ms for 1 s of sound; opened in ` +
    `${model.openedMs.toFixed(0)} ms`
  );
}

function megabytes(bytes) {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/** A number, with a thin space for thousands. */
function spaced(value, digits = 0) {
  return value.toFixed(digits).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

/** A number with a true minus. */
function signed(value, digits) {
  return value.toFixed(digits).replace("-", "−");
}

function reset() {
  part("verdict").classList.remove("same", "different");
  part("failure").textContent = "";
  part("rule").textContent = ".";
  part("score").value = part("llr").value = "";
  for (const id of ["score-line", "llr-line", "scale"]) {
    part(id).hidden = true;
  }
}
