// The console works without this file. It adds shortcuts, copy buttons, local times and live fragments.
"use strict";
(() => {
  const body = document.body;
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

  // Times in the zone of the browser; the title keeps UTC.
  const digits = (number) => String(number).padStart(2, "0");
  const format = (at) => `${at.getFullYear()}-${digits(at.getMonth() + 1)}-${digits(at.getDate())} `
    + `${digits(at.getHours())}:${digits(at.getMinutes())}`;
  const localTimes = (root) => {
    for (const time of $$("time[datetime]", root)) {
      const instant = new Date(time.dateTime);
      if (!Number.isNaN(instant.getTime())) time.textContent = format(instant);
    }
  };

  // A button beside each text that people copy.
  const copyButtons = (root) => {
    if (!navigator.clipboard) return;
    for (const text of $$(".copy", root)) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "copy-button";
      button.textContent = body.dataset.copy;
      button.addEventListener("click", async () => {
        await navigator.clipboard.writeText(text.textContent.trim());
        button.textContent = body.dataset.copied;
        setTimeout(() => { button.textContent = body.dataset.copy; }, 2000);
      });
      text.after(" ", button);
    }
  };

  // A form is sent once; a page that is shown again from the browser's memory can be sent again.
  const sendOnce = () => {
    document.addEventListener("submit", (event) => {
      const form = event.target;
      if (form.method !== "post") return;
      if (form.dataset.sent) event.preventDefault();
      form.dataset.sent = "true";
    });
    addEventListener("pageshow", () => $$("form[data-sent]").forEach((form) => delete form.dataset.sent));
  };

  // A fragment is loaded again when the server says that it has changed.
  const liveFragments = () => {
    for (const fragment of $$("[data-events]")) {
      const source = new EventSource(fragment.dataset.events);
      source.addEventListener("changed", async () => {
        const response = await fetch(location.href, { headers: { Accept: "text/html" } });
        if (!response.ok || response.redirected) { source.close(); return; }
        const page = new DOMParser().parseFromString(await response.text(), "text/html");
        const fresh = page.getElementById(fragment.id);
        if (!fresh) return;
        fragment.replaceChildren(...fresh.childNodes);
        localTimes(fragment);
      });
      addEventListener("pagehide", () => source.close());
    }
  };

  const nav = (end) => {
    const links = $$(".side a");
    const base = links[0]?.getAttribute("href");
    const link = links.find((own) => own.getAttribute("href") === `${base}${end}`);
    if (link) location.href = link.href;
  };
  const places = { o: "", a: "/apps", d: "/devices", e: "/explain", p: "/pushes", u: "/audit" };

  const showHelp = async () => {
    const known = $("dialog");
    if (known) { known.showModal(); return; }
    const response = await fetch("/console/help");
    if (!response.ok || response.redirected) return;
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const dialog = document.createElement("dialog");
    const close = document.createElement("form");
    const button = document.createElement("button");
    close.method = "dialog";
    button.textContent = "×";
    button.setAttribute("aria-label", "Esc");
    close.append(button);
    dialog.append(close, ...$$("#main h2:first-of-type, #main dl", page));
    body.append(dialog);
    dialog.showModal();
  };

  let afterG = 0;
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.closest("input, textarea, select, dialog");
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/") {
      const search = document.getElementById("q");
      if (search) { event.preventDefault(); search.focus(); search.select(); }
    } else if (event.key === "?") {
      event.preventDefault();
      showHelp();
    } else if (event.key === "g") {
      afterG = Date.now();
    } else if (Date.now() - afterG < 1500 && event.key in places) {
      afterG = 0;
      nav(places[event.key]);
    }
  });

  // On a narrow screen the navigation scrolls sideways.
  const showCurrentPage = () => {
    const current = $(".side [aria-current]");
    if (current) $(".side").scrollLeft = current.offsetLeft - 16;
  };

  localTimes(document);
  showCurrentPage();
  copyButtons(document);
  sendOnce();
  liveFragments();
  // Errors are read out and reached first.
  $("[aria-invalid=true]")?.focus();
})();
