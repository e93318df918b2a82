// What stands above the lines: how many there are, what is missing of them, and what can be done with them.

import { el } from "./dom.js";
import { columnsMenu } from "./menu.js";

export class Bar {
  // `asks` are functions: newer, older, pause, wrap, restyle, link, download(event), which saves as `name`.
  constructor(state, name, asks) {
    const button = (attributes, onclick, words) => el("button", { type: "button", ...attributes, onclick }, words);
    this.state = state;
    this.count = el("span", { "aria-live": "polite" });
    this.notice = el("span", { class: "notice", role: "status" });
    this.newer = button({ hidden: true, class: "newer" }, asks.newer, "New lines");
    this.older = button({ hidden: true }, asks.older, "Older lines");
    this.pause = button({ hidden: true }, asks.pause, "Pause");
    this.wrap = button({ title: "Wrap long lines (w)" }, asks.wrap, "Wrap");
    this.download = el("a", { class: "download", download: name, onclick: asks.download }, "Download");
    this.element = el("div", { class: "bar" }, this.count, this.notice, el("span", { class: "grow" }), this.newer, this.older, this.pause, this.wrap,
      columnsMenu(state, asks.restyle), button({ title: "A link to what is shown" }, asks.link, "Copy link"), this.download);
    this.showWrap();
  }

  // Another search begins; `href` downloads all of it.
  begin(href) {
    this.download.href = href;
    this.newer.hidden = this.older.hidden = true;
    this.pause.hidden = !this.state.live;
    this.showPause(false);
    this.say("");
  }

  say(words) { this.notice.textContent = words; }
  counted(words) { this.count.textContent = words; }
  showPause(paused) { this.pause.textContent = paused ? "Go on" : "Pause"; }
  showWrap() { this.wrap.setAttribute("aria-pressed", String(this.state.wrap)); }
}
