// From a file to a waveform that the model takes, or why it is none. The
// checks and the windows are those of speechbrain_kd.runtime.

// Of a file that does not state its length: ten minutes at 256 kbit/s.
const MOST_BYTES = 20e6;

/** Decodes a file to one channel [samples] at the model's rate. */
export async function decode(file, facts) {
  const named = `“${file.name}”`;
  if (file.size === 0) {
    throw new Error(`${named} is empty.`);
  }
  await checkLength(file, facts);
  const bytes = await file.arrayBuffer();
  // A context of the model's rate resamples what it decodes.
  const context = new OfflineAudioContext(1, 1, facts.sample_rate);
  let buffer;
  try {
    buffer = await context.decodeAudioData(bytes);
  } catch (error) {
    throw new Error(
      `${named} is no audio file that this browser reads. Expected a ` +
        "recording, for one WAV, FLAC, MP3, M4A or OGG.",
    );
  }
  const wave = mixed(buffer);
  check(wave, facts);
  return wave;
}

/** Refuses what is too short or too long. */
function check(wave, facts) {
  const seconds = wave.length / facts.sample_rate;
  refuseLong(seconds, facts);
  if (wave.length < Math.round(facts.shortest_s * facts.sample_rate)) {
    throw new Error(
      `The clip has ${(1000 * seconds).toFixed(0)} ms (${wave.length} samples ` +
        `at ${facts.sample_rate} Hz); expected at least ` +
        `${(1000 * facts.shortest_s).toFixed(0)} ms.`,
    );
  }
  // All windows, so that it is said when the clip is chosen.
  for (const _ of windows(wave, facts));
}

/**
 * Equal windows, without those of silence; throws where all are silent or a
 * sample is no finite number.
 */
export function* windows(wave, facts) {
  const longest = Math.trunc(facts.window_s * facts.sample_rate);
  const count = Math.ceil(wave.length / longest);
  const least = Math.floor(wave.length / count);
  const longer = wave.length % count;
  let heard = false;
  for (let number = 0, start = 0; number < count; number += 1) {
    const end = start + least + (number < longer ? 1 : 0);
    const piece = wave.subarray(start, end);
    start = end;
    const bad = piece.reduce((sum, one) => sum + !Number.isFinite(one), 0);
    if (bad > 0) {
      throw new Error(
        `The clip has samples that are NaN or infinite: ${bad} of ` +
          `${piece.length} in the first window that has any.`,
      );
    }
    const mean = piece.reduce((sum, one) => sum + one, 0) / piece.length;
    if (piece.some((one) => Math.abs(one - mean) >= facts.silence)) {
      heard = true;
      yield piece;
    }
  }
  if (!heard) {
    throw new Error(
      `The clip is silent: no sample is ${facts.silence} of full scale from ` +
        "its mean. Was the microphone on?",
    );
  }
}

/** Refuses a file of hours before it is decoded as a whole. */
async function checkLength(file, facts) {
  const seconds = await statedLength(file);
  if (Number.isFinite(seconds)) {
    refuseLong(seconds, facts);
  } else if (file.size > MOST_BYTES) {
    throw new Error(
      `“${file.name}” has ${(file.size / 1e6).toFixed(0)} MB, and its length ` +
        `is not known; expected at most ${MOST_BYTES / 1e6} MB.`,
    );
  }
}

/** Says the limit. */
function refuseLong(seconds, facts) {
  if (seconds > facts.longest_clip_s) {
    throw new Error(
      `The clip lasts ${duration(seconds)}; this page takes at most ` +
        `${duration(facts.longest_clip_s)}. Cut it first: some ten seconds of ` +
        "one voice are enough.",
    );
  }
}

/** Seconds that the header states; NaN where none does. */
function statedLength(file) {
  const audio = new Audio();
  const address = URL.createObjectURL(file);
  return new Promise((resolve) => {
    audio.onloadedmetadata = () => resolve(audio.duration);
    audio.onerror = () => resolve(NaN);
    audio.preload = "metadata";
    audio.src = address;
  }).finally(() => {
    audio.removeAttribute("src");
    URL.revokeObjectURL(address);
  });
}

/** The mean of the channels. */
function mixed(buffer) {
  const wave = new Float32Array(buffer.length);
  for (let channel = 0; channel < buffer.numberOfChannels; channel += 1) {
    const share = 1 / buffer.numberOfChannels;
    sixteenBit(buffer.getChannelData(channel)).forEach(
      (value, index) => (wave[index] += share * value),
    );
  }
  return wave;
}

/**
 * Samples of 16 bits over 32768. Chromium has positive ones over 32767, and
 * an int8 model rounds what differs by so little to another number.
 */
function sixteenBit(samples) {
  const whole = (one) => Math.round(32767 * one);
  const over = samples.every(
    (one) => one <= 0 || Math.abs(32767 * one - whole(one)) < 0.005,
  );
  return over
    ? samples.map((one) => (one > 0 ? whole(one) / 32768 : one))
    : samples;
}

/** Seconds in words. */
export function duration(seconds) {
  if (seconds < 60) {
    return `${seconds.toFixed(1)} s`;
  }
  const minutes = Math.round(seconds / 60);
  const hours = Math.floor(minutes / 60);
  return hours > 0 ? `${hours} h ${minutes % 60} min` : `${minutes} min`;
}
