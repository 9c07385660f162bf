// Loads the page's modules, or says why the browser would not.
"use strict";

const say = (text) => {
  const line = document.getElementById("status");
  line.textContent = text;
  line.classList.add("message");
};

if (location.protocol === "file:") {
  say(
    "A browser does not load a model from a file: address. In this folder, " +
      "run: python -m http.server --bind 127.0.0.1, then open " +
      "http://127.0.0.1:8000",
  );
} else if (typeof WebAssembly !== "object") {
  say("This browser has no WebAssembly, which the model needs.");
} else {
  import("./app.js").catch((error) => {
    say(`The page did not load: ${error.message}`);
  });
}
