"""What a person meets on the page: hands, eyes, ears, and no network."""

import base64
import json

import pytest
from chromium import served
from small_web import ONE, SCORE, TWO, permit, python, shown, text

# Of every element with text of its own: contrast with what is behind it.
_CONTRASTS = """
(() => {
  const light = (colour) => {
    const parts = colour.match(/[\\d.]+/g).slice(0, 3).map(Number);
    const [r, g, b] = parts.map((one) => one / 255).map((one) =>
      one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const clear = (colour) => /, 0\\)$/.test(colour);
  const behind = (one) => {
    const colour = getComputedStyle(one).backgroundColor;
    return clear(colour) ? behind(one.parentElement) : colour;
  };
  return [...document.querySelectorAll("body *")]
    .filter((one) => one.checkVisibility() && [...one.childNodes].some(
      (node) => node.nodeType === 3 && node.data.trim()))
    .map((one) => {
      const both = [getComputedStyle(one).color, behind(one)].map(light);
      const ratio = (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
      return [ratio, one.textContent.trim().slice(0, 40)];
    });
})()
"""

# On the second card: the first file is its own, the second the other's.
_DROP = """
(() => {
  const dataTransfer = new DataTransfer();
  for (const [name, text] of Object.entries(%s)) {
    const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
    dataTransfer.items.add(new File([bytes], name));
  }
  document.querySelector(".clip:nth-child(2) .wave").dispatchEvent(
    new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
})()
"""


def test_the_microphone(page, clips):
    shown(page, clips / "a.wav", clips / "a.wav")
    permit(page, "denied")
    record = f"document.querySelector('{TWO} .record')"
    page.run(f"{record}.click()")
    page.until(f"document.querySelector('{TWO} .message').innerText")
    assert "The microphone was refused" in text(page, f"{TWO} .message")
    permit(page, "granted")
    page.run(f"{record}.click()")
    page.until(f"{record}.innerText === 'Stop'")
    assert page.run(f"document.querySelector('{ONE} .record').disabled")
    page.until(
        f"parseFloat(document.querySelector('{TWO} .hint').innerText) > 1"
    )
    page.run(f"{record}.click()")
    # How true it is to what was played, test_web_real.py says.
    assert -1 <= float(page.until(SCORE)) <= 1
    assert "recording.wav, " in text(page, f"{TWO} .about")
    assert not page.run(f"document.querySelector('{ONE} .record').disabled")


def test_two_files_dropped_at_once(page, verifier, clips):
    page.run("document.getElementById('score').value = ''")
    files = {name: (clips / name).read_bytes() for name in ("c.wav", "a.wav")}
    coded = {n: base64.b64encode(b).decode() for n, b in files.items()}
    page.run(_DROP % json.dumps(coded))
    page.until(
        f"document.querySelector('{ONE} .about').innerText.match('a.wav')"
    )
    page.until(
        f"document.querySelector('{TWO} .about').innerText.match('c.wav')"
    )
    expected = python(verifier, clips / "a.wav", clips / "c.wav")
    assert float(page.until(SCORE)) == pytest.approx(expected, abs=1e-3)


def test_keyboard_and_names(page, clips):
    shown(page, clips / "a.wav", clips / "b.wav")
    page.run("document.activeElement.blur()")
    found = []
    for _ in range(30):
        page.tab()
        found.append(
            page.run("document.activeElement.getAttribute('aria-label') ?? ''")
        )
    order = [name for name in dict.fromkeys(found) if name]
    assert order == [
        f"{what} clip {number}"
        for number in (1, 2)
        for what in ("Record", "Choose a file for", "Play")
    ]
    page.send("Accessibility.enable")
    tree = page.send("Accessibility.getFullAXTree")["nodes"]
    named = {}
    for node in tree:
        role = node.get("role", {}).get("value")
        named.setdefault(role, []).append(node.get("name", {}).get("value"))
    for role in ("button", "image", "region"):
        assert named[role] and all(named[role]), (role, named)
    assert any("with the threshold at" in name for name in named["image"])


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [360, 1280])
def test_a_phone_and_dark(page, clips, width, dark):
    page.look(width, dark)
    shown(page, clips / "a.wav", clips / "c.wav")
    root = "document.documentElement"
    assert page.run(f"{root}.scrollWidth - {root}.clientWidth") <= 0
    contrasts = page.run(_CONTRASTS)
    assert len(contrasts) > 25
    assert min(contrasts)[0] >= 4.5, min(contrasts)
    ground = page.run("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") != dark


def test_nothing_leaves_the_device(page, clips):
    shown(page, clips / "a.wav", clips / "b.wav")
    asked = [
        event["params"]["request"]["url"]
        for event in page.events
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert any(address.endswith(".wasm") for address in asked)
    for address in asked:
        assert address.startswith((page.address, "blob:", "data:")), address
    with served(clips) as elsewhere:
        got = page.run(f"fetch('{elsewhere}/a.wav').then(() => 1, () => 0)")
    assert got == 0
    told = page.complaints()
    assert told and all("Content Security Policy" in one for one in told), told
    page.events.clear()


def test_a_page_without_a_server(page, clips):
    page.open((clips / "page" / "index.html").as_uri())
    page.until("document.getElementById('status').innerText.match('server')")
    page.open(f"{page.address}/index.html")
