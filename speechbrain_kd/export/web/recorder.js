// The microphone, sample by sample and without a codec, as a WAV file.

/** Of one recording, in seconds. */
export const LONGEST_S = 60;

// As it is: what cancels echo and noise changes a voice.
const WANTED = {
  channelCount: 1,
  echoCancellation: false,
  noiseSuppression: false,
  autoGainControl: false,
};
const REASONS = {
  NotAllowedError:
    "The microphone was refused. Allow it for this page in the browser’s " +
    "settings, or choose a file.",
  NotFoundError: "There is no microphone here. Choose a file.",
  NotReadableError: "The microphone is in use elsewhere. Choose a file.",
};

/**
 * Begins to record. `onLevel(seconds, peak)` hears of each block. Resolves to
 * an object whose `stop()` resolves to the file; throws why it cannot.
 */
export async function record(onLevel) {
  if (!navigator.mediaDevices || typeof AudioWorkletNode !== "function") {
    throw new Error(
      "A browser records on https or localhost alone. Choose a file.",
    );
  }
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: WANTED });
  } catch (error) {
    throw new Error(
      REASONS[error.name] ?? `The microphone cannot be used: ${error.message}`,
    );
  }
  const context = new AudioContext();
  const blocks = [];
  let length = 0;
  const end = async () => {
    stream.getTracks().forEach((track) => track.stop());
    await context.close();
  };
  try {
    await context.audioWorklet.addModule("recorder-worklet.js");
    const node = new AudioWorkletNode(context, "taker", {
      channelCount: 1,
      channelCountMode: "explicit",
    });
    node.port.onmessage = ({ data }) => {
      blocks.push(data);
      length += data.length;
      const peak = data.reduce((most, one) => Math.max(most, Math.abs(one)), 0);
      onLevel(length / context.sampleRate, peak);
    };
    context.createMediaStreamSource(stream).connect(node);
    // Some browsers run only what leads to the loudspeaker; it stays silent.
    node.connect(context.destination);
    await context.resume();
  } catch (error) {
    await end();
    throw error;
  }
  const stop = async () => {
    const rate = context.sampleRate;
    await end();
    const file = wav(begun(blocks, length), rate);
    return new File([file], "recording.wav", { type: "audio/wav" });
  };
  return { stop };
}

/**
 * The samples without the zeros that come before the microphone runs: features
 * hold them for the deepest silence, and 25 ms of them change an embedding.
 */
function begun(blocks, length) {
  const samples = new Float32Array(length);
  let at = 0;
  for (const block of blocks) {
    samples.set(block, at);
    at += block.length;
  }
  return samples.subarray(Math.max(0, samples.findIndex((one) => one !== 0)));
}

/** A WAV file of one channel, 16 bit. */
function wav(samples, rate) {
  const size = 2 * samples.length;
  const bytes = new ArrayBuffer(44 + size);
  const view = new DataView(bytes);
  const text = (at, letters) =>
    [...letters].forEach((one, i) => view.setUint8(at + i, one.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + size, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, 2 * rate, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, size, true);
  samples.forEach((value, index) => {
    const whole = Math.max(-32768, Math.min(32767, Math.round(32768 * value)));
    view.setInt16(44 + 2 * index, whole, true);
  });
  return bytes;
}
