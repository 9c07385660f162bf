// The model in onnxruntime-web, on one thread of the processor.
import * as ort from "./ort/ort.wasm.min.mjs";
import { windows } from "./audio.js";

/** Opens the model; resolves to an object that embeds. */
export async function openModel(facts, content) {
  ort.env.wasm.wasmPaths = new URL("./ort/", import.meta.url).href;
  ort.env.wasm.numThreads = 1;
  const began = performance.now();
  const session = await ort.InferenceSession.create(content, {
    executionProviders: ["wasm"],
    logSeverityLevel: 3,
  });
  const openedMs = performance.now() - began;
  const model = { facts, session, openedMs, msPerSecond: Infinity };
  await measure(model);
  return model;
}

/**
 * Milliseconds for one second of noise: the least of all runs so far, at least
 * three at a time. At first a browser runs what it has compiled in haste; so it
 * is measured again after each comparison.
 */
export async function measure(model) {
  const noise = new Float32Array(model.facts.sample_rate);
  noise.forEach((_, index) => (noise[index] = 0.2 * Math.random() - 0.1));
  const until = performance.now() + 100;
  for (let runs = 0; runs < 3 || performance.now() < until; runs += 1) {
    const began = performance.now();
    await run(model, noise);
    const ms = performance.now() - began;
    model.msPerSecond = Math.min(model.msPerSecond, ms);
  }
}

/**
 * Embeds a clip: the mean over its windows, of norm 1.
 * Throws where it is silent or broken.
 */
export async function embed(model, wave) {
  const { facts } = model;
  const sum = new Float64Array(facts.dimension);
  let ms = 0;
  let count = 0;
  for (const piece of windows(wave, facts)) {
    const began = performance.now();
    const embedding = await run(model, piece);
    ms += performance.now() - began;
    embedding.forEach((value, index) => (sum[index] += value));
    count += 1;
    // The page answers between two windows.
    await new Promise((resolve) => setTimeout(resolve));
  }
  const norm = Math.max(Math.hypot(...sum), 1e-12);
  return { values: sum.map((value) => value / norm), ms, windows: count };
}

/** The embedding of one window. */
async function run(model, piece) {
  const waveform = new ort.Tensor("float32", piece, [1, piece.length]);
  const { embedding } = await model.session.run({ waveform });
  if (!embedding.data.every(Number.isFinite)) {
    const peak = piece.reduce((most, one) => Math.max(most, Math.abs(one)), 0);
    throw new Error(
      "The model gives no finite embedding: expected samples of full scale 1, " +
        `came up to ${peak.toPrecision(3)}.`,
    );
  }
  return embedding.data;
}
