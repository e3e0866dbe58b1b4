// What makes pages more convenient. Every page works without it.
"use strict";

// Copies what stands beside the button.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  if (!source) return;
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(source.textContent.trim());
    button.textContent = "Copied";
  } catch {
    const range = document.createRange();
    range.selectNodeContents(source);
    const selection = window.getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
    button.textContent = "Selected: press Ctrl+C";
  }
  setTimeout(() => { button.textContent = label; }, 2000);
});

// Buttons that put a text at the end of a field.
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-append-to]");
  if (!button) return;
  const field = document.getElementById(button.dataset.appendTo);
  if (!field) return;
  const before = field.value.replace(/\s+$/, "");
  field.value = (before ? before + "\n" : "") + button.dataset.text + "\n";
  field.focus();
});

// Shows what only works with scripts.
for (const element of document.querySelectorAll("[data-scripted]")) element.hidden = false;

// Puts refused requests into their table as they come.
const live = document.querySelector("[data-stream]");
if (live) {
  const rows = document.getElementById("denials");
  const source = new EventSource(live.dataset.stream);
  source.addEventListener("message", (event) => {
    const row = document.createElement("template");
    row.innerHTML = event.data;
    rows.prepend(row.content);
    while (rows.rows.length > 200) rows.deleteRow(-1);
    document.getElementById("quiet").hidden = true;
    document.getElementById("loud").hidden = false;
  });
  source.addEventListener("open", () => { live.textContent = "Live"; });
  source.addEventListener("error", () => { live.textContent = "Waiting for the gateway…"; });
}

// On a narrow screen the present part of the organization may be out of sight.
document.querySelector(".sections [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });
