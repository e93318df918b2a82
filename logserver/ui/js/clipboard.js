// Copying text. Browsers offer their clipboard only on https and on this machine; elsewhere a selection is copied, the
// old way, and where that fails too the caller must show the text.

export async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch { return copiedBySelection(text); } // absent, or not permitted
}

function copiedBySelection(text) {
  const focused = document.activeElement;
  const area = document.createElement("textarea");
  area.value = text;
  area.style.position = "fixed";
  area.style.opacity = "0";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  focused?.focus();
  return done;
}
