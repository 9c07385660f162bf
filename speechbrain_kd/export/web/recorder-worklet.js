// Hands the samples of the microphone to the page.
class Taker extends AudioWorkletProcessor {
  process([input]) {
    if (input.length > 0) {
      this.port.postMessage(input[0].slice());
    }
    return true;
  }
}

registerProcessor("taker", Taker);
