// What the browser does by itself in the console: clocks, keys, the composer, filters, the count in the title, notices.
(() => {
  const { lang, texts } = window.kotae;
  document.documentElement.lang = lang; // NiceGUI leaves it out; a screen reader speaks by it
  const one = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const tell = (name, detail) => window.emitEvent?.(name, detail ?? {});

  // ----- clocks
  const unit = (name) => new Intl.NumberFormat(lang, { style: "unit", unit: name, unitDisplay: "short", maximumFractionDigits: 0 });
  const units = { minute: unit("minute"), hour: unit("hour"), day: unit("day") };
  const tight = (text) => lang === "ja" ? text.replace(/\s/g, "") : text; // 「10分」: no space before the unit
  const fill = (key, time) => texts[key].replace("{time}", time);
  const locale = navigator.language.startsWith(lang) ? navigator.language : lang;
  const SOON = 3 * 60, BREAKING = 5; // minutes

  function span(minutes) {
    const m = Math.max(0, Math.floor(minutes));
    if (m < 60) return tight(units.minute.format(m));
    if (m < 48 * 60) return tight(units.hour.format(Math.floor(m / 60)) + (m < 360 && m % 60 ? " " + units.minute.format(m % 60) : ""));
    return tight(units.day.format(Math.floor(m / 1440)));
  }
  function moment(date, now) {
    const clock = date.toLocaleTimeString(locale, { hour: "2-digit", minute: "2-digit", hour12: false });
    if (date.toDateString() === now.toDateString()) return clock;
    const near = Math.abs(date - now) < 6 * 86400e3;
    return date.toLocaleDateString(locale, near ? { weekday: "short" } : { month: "short", day: "numeric" }) + " " + clock;
  }
  function put(element, text, state) {
    if (element.textContent !== text) element.textContent = text;
    if (state !== undefined && element.dataset.state !== state) element.dataset.state = state;
  }
  function tick() {
    const now = new Date();
    for (const e of all("time[data-due]")) {
      const date = new Date(e.dataset.due), left = (date - now) / 60000;
      const text = left < 0 ? fill("late_by", span(-left)) : left < SOON ? fill("due_in", span(Math.ceil(left))) : fill("due_at", moment(date, now));
      put(e, text, left < 0 ? "late" : left < BREAKING ? "breaking" : "fine");
    }
    for (const e of all("time[data-waiting]")) {
      const waited = (now - new Date(e.dataset.waiting)) / 60000;
      put(e, waited < 1 ? texts.just_now : fill("waiting", span(waited)));
    }
    for (const e of all("time[data-until]")) put(e, fill("aside_until", moment(new Date(e.dataset.until), now)));
    for (const e of all("time[data-since]")) {
      const since = (now - new Date(e.dataset.since)) / 60000;
      put(e, since < 1 ? texts.just_now : span(since));
    }
    for (const e of all("time[data-at]")) {
      const date = new Date(e.dataset.at);
      put(e, moment(date, now));
      if (!e.title) e.title = date.toLocaleString(locale);
    }
  }

  // ----- the composer
  const composer = () => one(".composer");
  const box = () => one(".composer .box");
  kotae.compose = (mode) => {
    const form = composer(), field = box();
    if (!form || !field) return;
    if (mode) form.dataset.chosen = mode;
    const open = form.dataset.open === "yes";
    // Words stay what they were begun as: a note must not become a reply because the conversation is one's own meanwhile.
    const begun = field.value.trim() ? form.dataset.showing : undefined;
    const now = form.dataset.chosen || begun || (open ? "reply" : "note");
    form.dataset.showing = now;
    for (const tab of all(".tab[data-mode]", form)) tab.setAttribute("aria-selected", String(tab.dataset.mode === now));
    const closed = now === "reply" && !open;
    field.placeholder = closed ? field.dataset.closed : field.dataset[now];
    field.readOnly = closed; // not disabled: focus would be lost, and the next letters would be keys that do something
    one("[data-do=send]", form).disabled = closed;
    if (mode && !closed) field.focus();
  };
  kotae.taken = () => {
    const form = composer(), field = box();
    if (!form) return;
    form.dataset.open = "yes"; // as the server says in a moment
    if (!field.value.trim()) delete form.dataset.chosen;
    kotae.compose();
    field.focus();
  };
  kotae.send = (emit) => {
    const field = box(), text = field.value.trim();
    if (!text || field.readOnly) return;
    const id = Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
    const mode = composer().dataset.showing;
    if (mode === "note") composer().dataset.chosen = mode; // so is the next sentence
    emit({ text, mode, id });
    field.value = "";
  };
  kotae.key = (event, emit) => {
    // During composition, as of Japanese, Enter chooses a word and must not send.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    kotae.send(emit);
  };
  kotae.insert = (text, mode) => {
    const field = box();
    if (!field || !text) return;
    // Into a note that is being written it goes as part of it: the note must not become a reply with it.
    kotae.compose(field.value.trim() && composer().dataset.showing === "note" ? "note" : mode);
    field.value = field.value ? `${field.value.trimEnd()}\n${text}` : text;
    field.focus();
    field.setSelectionRange(field.value.length, field.value.length);
  };
  kotae.form = (event, emit) => {
    event.preventDefault();
    emit(Object.fromEntries(new FormData(event.target)));
  };
  kotae.take = (event, emit) => {
    const field = one("textarea", event.target.closest("form"));
    if (field.value.trim()) { emit(field.value); field.value = ""; }
  };
  kotae.giveBack = (text) => { // a note that could not be kept, before what was written meanwhile
    const field = one(".note-form textarea");
    field.value = [text, field.value].filter(Boolean).join("\n");
  };
  kotae.toOffers = () => requestAnimationFrame(() => setTimeout(() => {
    if (!document.activeElement?.closest("input, textarea, select")) one(".offer")?.focus(); // who writes meanwhile goes on writing
  }, 60));
  let typed = 0;
  document.addEventListener("input", (event) => {
    const form = event.target.closest?.(".composer");
    if (!form || form.dataset.showing !== "reply" || form.dataset.open !== "yes" || Date.now() - typed < 2500) return;
    typed = Date.now();
    tell("kotae_typing");
  });

  // ----- the transcript stays at its end unless one has scrolled up to read; what was before one's eyes is read
  let read = 0;
  function reading(thread) {
    const lines = one(".lines", thread).childElementCount;
    if (document.visibilityState !== "visible" || thread.dataset.up === "yes" || lines === read) return;
    read = lines;
    tell("kotae_read");
  }
  function stick(thread) {
    thread.addEventListener("scroll", () => {
      thread.dataset.up = thread.scrollHeight - thread.scrollTop - thread.clientHeight < 80 ? "no" : "yes";
      reading(thread);
    });
    new ResizeObserver(() => {
      if (thread.dataset.up !== "yes") thread.scrollTop = thread.scrollHeight;
      reading(thread);
    }).observe(one(".lines", thread));
    document.addEventListener("visibilitychange", () => reading(thread));
    thread.scrollTop = thread.scrollHeight;
  }

  // ----- filters
  let waiting;
  kotae.filter = (event, emit) => {
    const form = event.target.closest("form");
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      const given = Object.fromEntries(new FormData(form));
      const address = new URL(location.href);
      for (const [key, value] of Object.entries(given)) value ? address.searchParams.set(key, value) : address.searchParams.delete(key);
      history.replaceState(null, "", address);
      emit(given);
    }, event.target.type === "search" ? 180 : 0);
  };

  // ----- the count in the title, notices
  const OFF = "off", KEPT = "kotae.notices";
  const wanted = () => { try { return localStorage.getItem(KEPT) || OFF; } catch { return OFF; } };
  let counted;
  function beep() {
    const audio = new AudioContext(), gain = audio.createGain();
    gain.connect(audio.destination);
    gain.gain.setValueAtTime(0.06, audio.currentTime);
    gain.gain.exponentialRampToValueAtTime(0.0001, audio.currentTime + 0.5);
    for (const [at, pitch] of [[0, 660], [0.14, 880]]) {
      const tone = audio.createOscillator();
      tone.frequency.value = pitch;
      tone.connect(gain);
      tone.start(audio.currentTime + at);
      tone.stop(audio.currentTime + at + 0.3);
    }
    setTimeout(() => audio.close(), 1000);
  }
  function count() {
    const nav = one("[data-queued]");
    if (!nav) return;
    const now = { queued: Number(nav.dataset.queued), unread: Number(nav.dataset.unread) };
    const base = document.title.replace(/^\(\d+\) /, ""), sum = now.queued + now.unread;
    const title = sum ? `(${sum}) ${base}` : base;
    if (document.title !== title) document.title = title;
    const button = one("[data-do=notices]");
    button?.setAttribute("aria-pressed", String(wanted() !== OFF));
    const news = counted && ["unread", "queued"].filter((key) => now[key] > counted[key]);
    counted = now;
    if (!news?.length || wanted() === OFF) return;
    beep();
    if (document.visibilityState !== "visible" || !document.hasFocus()) {
      const text = news.map((key) => nav.dataset[key === "queued" ? "newsQueued" : "newsUnread"]).join(" · ");
      const notice = new Notification("Kotae", { body: text, tag: "kotae" });
      notice.onclick = () => { window.focus(); notice.close(); };
    }
  }
  async function toggleNotices() {
    const on = wanted() === OFF && (await Notification.requestPermission()) === "granted";
    try { localStorage.setItem(KEPT, on ? "on" : OFF); } catch { /* a browser that keeps nothing has no notices */ }
    if (on) beep();
    count();
  }

  // ----- keys
  const shown = (e) => e.offsetParent !== null || e.closest(".menu") !== null;
  const press = (name) => all(`[data-do="${name}"]`).find(shown)?.click();
  const pressReply = (what) => all(`[data-reply="${what}"]`).at(-1)?.click();
  const items = () => all(".main .list a, .main .table a").filter((e) => e.offsetParent !== null);
  let at = "";
  function step(by) {
    const every = items(), line = one(".line[aria-current]");
    if (line) { every[every.indexOf(line) + by]?.click(); return; }
    const here = every.findIndex((e) => e === document.activeElement || e.dataset.id === at);
    const next = every[Math.max(0, Math.min(every.length - 1, here < 0 ? 0 : here + by))];
    if (next) { at = next.dataset.id; next.focus(); next.scrollIntoView({ block: "nearest" }); }
  }
  const claim = () => {
    const row = document.activeElement?.closest?.(".case");
    if (row) one("[data-claim]", row)?.click(); else press("claim");
  };
  const go = (view) => one(`.nav-link[data-view="${view}"]`)?.click();
  const search = () => one(".search")?.focus() ?? (location.href = one('.nav-link[data-view="all"]').href + "#search");
  const keys = {
    "?": () => one("#keys").showModal(), "/": search,
    j: () => step(1), k: () => step(-1), ArrowDown: () => step(1), ArrowUp: () => step(-1),
    c: claim, r: () => kotae.compose("reply"), n: () => kotae.compose("note"), i: () => press("canned"), s: () => press("suggest"),
    e: () => press("resolve"), b: () => press("to-bot"), q: () => press("to-queue"), t: () => press("transfer"),
    z: () => press("aside"), f: () => press("again"), p: () => press("level"), m: () => press("mute"),
    y: () => pressReply("mark"), d: () => pressReply("draft"),
    x: () => tell("kotae_next"),
    u: () => (one(".nav-link[aria-current]") ?? one('.nav-link[data-view="queue"]'))?.click(),
  };
  const places = { q: "queue", w: "watching", m: "mine", a: "all", c: "accounts", r: "reports", s: "settings" };
  let going = 0;
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const target = event.target, writing = target.closest?.("input, textarea, select");
    const offers = all(".offer").filter((e) => e.offsetParent !== null);
    if (event.key === "Escape") {
      for (const menu of all(".menu[open]")) menu.open = false;
      if (offers.length) tell("kotae_tray");
      if (writing) target.blur();
      return;
    }
    const agree = event.key === "Enter" && all(".q-dialog .button.primary").at(-1);
    if (agree && !agree.closest(".q-dialog").contains(target)) { event.preventDefault(); agree.click(); return; } // the focus is on its way
    if (writing || one("dialog[open], .q-dialog")) return;
    if (offers.length && /^[1-9]$/.test(event.key)) { event.preventDefault(); offers[event.key - 1]?.click(); return; }
    if (target.closest?.("button") && event.key.startsWith("Arrow")) return;
    if (event.key === "g") { going = Date.now(); return; }
    const act = Date.now() - going < 1200 && places[event.key] ? () => go(places[event.key]) : keys[event.key];
    going = 0;
    if (act) { event.preventDefault(); act(); }
  });
  document.addEventListener("click", (event) => {
    for (const menu of all(".menu[open]")) if (!menu.contains(event.target) || event.target.closest(".menu-items")) menu.open = false;
    const name = event.target.closest?.("[data-do]")?.dataset.do;
    if (name === "keys") one("#keys").showModal();
    if (name === "notices") toggleNotices();
  });

  // ----- what is drawn anew or moves under the hand: a click that was begun on it, and focus, are meant for it, wherever it stands now
  const HANDLE = "a[href], button, summary";
  const meant = (e) => e && [e.tagName, e.getAttribute("href"), e.name, e.closest("[data-seq]")?.dataset.seq, JSON.stringify(e.dataset)].join(" ");
  const held = (e) => { const it = e?.closest?.(HANDLE); return it ? { it, meant: meant(it) } : undefined; };
  let pressed, focused;
  document.addEventListener("pointerdown", (event) => {
    const begun = event.button === 0 && held(event.target);
    pressed = begun ? { ...begun, x: event.clientX, y: event.clientY } : undefined;
  });
  document.addEventListener("pointerup", (event) => {
    const begun = pressed;
    pressed = undefined;
    if (!begun || Math.hypot(event.clientX - begun.x, event.clientY - begun.y) > 8) return; // the hand moved: thought better of it
    const { it } = begun, now = it.isConnected ? it : all(HANDLE).find((e) => meant(e) === begun.meant);
    if (now !== it || !now.contains(document.elementFromPoint(event.clientX, event.clientY))) now?.click(); // the browser makes no click of this
  });
  document.addEventListener("focusin", (event) => { focused = held(event.target); });
  function refocus() {
    if (document.activeElement !== document.body || !focused || focused.it.isConnected) return;
    all(HANDLE).find((e) => meant(e) === focused.meant && e.offsetParent !== null)?.focus();
  }

  // ----- whenever the page has changed
  const known = new WeakSet();
  let asked = false;
  function look() {
    asked = false;
    tick();
    count();
    const thread = one(".thread");
    if (thread && !known.has(thread)) { known.add(thread); stick(thread); }
    if (composer()) kotae.compose();
    refocus();
    if (at && document.activeElement === document.body) one(`.main .list a[data-id="${CSS.escape(at)}"]`)?.focus();
    if (location.hash === "#search" && one(".search")) { history.replaceState(null, "", location.pathname + location.search); one(".search").focus(); }
  }
  new MutationObserver(() => { if (!asked) { asked = true; requestAnimationFrame(look); } }).observe(document.documentElement, {
    childList: true, subtree: true, attributes: true, attributeFilter: ["data-open"],
  });
  setInterval(tick, 15000);
})();
