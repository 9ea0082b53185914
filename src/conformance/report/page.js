// The page is whole without this: it opens the groups that have what is chosen, and copies what repeats a failure.
"use strict";
for (const choice of document.querySelectorAll("input[name=show]")) {
  choice.addEventListener("change", () => {
    for (const group of document.querySelectorAll("details.group")) {
      if (choice.value !== "all") group.open = group.querySelector(".check." + choice.value) !== null;
    }
  });
}
for (const block of navigator.clipboard ? document.querySelectorAll(".again") : []) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(block.querySelector("pre").textContent);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not allowed; select it";
    }
  });
  block.append(button);
}
