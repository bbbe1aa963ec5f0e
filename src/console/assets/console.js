// The console works without this file. It adds shortcuts, copy buttons, local times, live fragments and the progress of
// uploads.
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

  // A screen reader reads out what changes in a live region, which must stay the same element.
  const replaceContent = (old, fresh) => {
    const spoken = $(":scope > [aria-live]", old), news = $(":scope > [aria-live]", fresh);
    if (!spoken || !news) { old.replaceChildren(...fresh.childNodes); return; }
    while (spoken.nextSibling) spoken.nextSibling.remove();
    if (spoken.innerHTML !== news.innerHTML) spoken.replaceChildren(...news.childNodes);
    news.remove();
    old.append(...fresh.childNodes);
  };

  // Fragments are loaded again when the server says that they have changed. Only a visible page is live, because browsers
  // open few connections to a server. They give up after an error page, as a proxy sends during a deploy.
  const liveFragments = () => {
    for (const fragment of $$("[data-events]")) {
      let source, timer;
      const say = (text) => {
        const line = document.createElement("p");
        line.className = "live quiet";
        line.textContent = text;
        $(".live", fragment)?.remove();
        ($(":scope > [aria-live]", fragment) || fragment).append(line);
      };
      const close = () => { clearTimeout(timer); if (source) source.close(); };
      const later = () => { close(); timer = setTimeout(reload, 5000); };
      const reload = async () => {
        // Not the address of a form that this page answers.
        const [path] = fragment.dataset.events.split("/events");
        const response = await fetch(path + location.search).catch(() => null);
        if (!response || response.status >= 500 || response.status === 429) { say(body.dataset.away); later(); return; }
        const page = new DOMParser().parseFromString(await response.text(), "text/html");
        const fresh = !response.redirected && page.getElementById(fragment.id);
        if (!fresh) { close(); say(body.dataset.over); return; }
        fragment.dataset.events = fresh.dataset.events;
        replaceContent(fragment, fresh);
        localTimes(fragment);
        if ((!source || source.readyState === EventSource.CLOSED) && !document.hidden) open();
      };
      const open = () => {
        source = new EventSource(fragment.dataset.events);
        source.addEventListener("changed", reload);
        source.addEventListener("error", () => { if (source.readyState === EventSource.CLOSED) later(); });
      };
      if (!document.hidden) open();
      document.addEventListener("visibilitychange", () => { if (document.hidden) close(); else reload(); });
      addEventListener("pagehide", close);
    }
  };

  // The answer to an upload: the page that the server leads to, or the form with its error.
  const showAnswer = (request, fail) => {
    if (request.status < 400) { location.assign(request.responseURL); return; }
    const page = new DOMParser().parseFromString(request.responseText, "text/html");
    const fresh = page.getElementById("main");
    if (!fresh) { fail(); return; } // the answer of a proxy
    const main = document.adoptNode(fresh);
    $("#main").replaceWith(main);
    localTimes(main);
    copyButtons(main);
    uploads(main);
    ($("[aria-invalid=true]", main) || main).focus();
  };

  const sendFile = (form, field) => {
    $("[role=alert]", field)?.remove(); // of an earlier attempt
    const request = new XMLHttpRequest();
    const bar = document.createElement("progress");
    const failure = document.createElement("p");
    bar.setAttribute("aria-label", $("label", field).textContent);
    failure.className = "error";
    failure.setAttribute("role", "alert");
    field.append(bar, failure);
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) bar.value = event.loaded / event.total;
    });
    const fail = () => {
      bar.remove();
      failure.textContent = form.dataset.failed;
      delete form.dataset.sent;
    };
    request.addEventListener("load", () => showAnswer(request, fail));
    request.addEventListener("error", fail);
    request.open("POST", form.action);
    request.send(new FormData(form));
  };

  // A file is chosen or dropped, and sent in the background. The server answers as it does without script.
  const uploads = (root) => {
    for (const field of $$(".drop", root)) {
      const input = $("input[type=file]", field);
      field.addEventListener("dragover", (event) => {
        event.preventDefault();
        field.classList.add("over");
      });
      field.addEventListener("dragleave", () => field.classList.remove("over"));
      field.addEventListener("drop", (event) => {
        event.preventDefault();
        field.classList.remove("over");
        if (event.dataTransfer.files.length !== 1) return;
        input.files = event.dataTransfer.files;
        input.form.requestSubmit();
      });
      input.form.addEventListener("submit", (event) => {
        event.preventDefault();
        if (!input.form.dataset.sent) sendFile(input.form, field);
      });
    }
  };

  const nav = (end) => {
    const links = $$(".side a");
    const base = links[0]?.getAttribute("href");
    const link = links.find((own) => own.getAttribute("href") === `${base}${end}`);
    if (link) location.href = link.href;
  };
  const places = { o: "", a: "/apps", f: "/artifacts", d: "/devices", e: "/explain", p: "/pushes", u: "/audit" };

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
    dialog.append(close, ...$$("#main h2:first-of-type, #main h2:first-of-type + dl", page));
    body.append(dialog);
    dialog.showModal();
  };

  // A slow page handles keys late, so the times of the keys themselves are compared.
  let afterG = -Infinity;
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
      afterG = event.timeStamp;
    } else if (event.timeStamp - afterG < 1500 && event.key in places) {
      afterG = -Infinity;
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
  uploads(document);
  sendOnce();
  liveFragments();
  // Errors are read out and reached first.
  $("[aria-invalid=true]")?.focus();
})();
