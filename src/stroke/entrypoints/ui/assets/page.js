// What the pages do beyond links and forms. Everything works without it, one page load at a time.

const $ = (selector, within = document) => within.querySelector(selector);
const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];
const DRAFT = "stroke.draft";
const SLOW = 200; // ms after which the last answer turns grey
const REST = 500; // ms of rest before the answer is read aloud

const token = () => $("[name=csrf_token]")?.value ?? "";

/** Take the token of the session that there is now; return whether somebody is signed in. */
async function renewed() {
  try {
    const address = $("[data-session]").dataset.session;
    const found = await (await fetch(address, { headers: { Accept: "application/json" } })).json();
    for (const field of $$("[name=csrf_token]")) field.value = found.csrf_token;
    return found.signed_in;
  } catch { return false; }
}

/** Ask the server for a part of the page. Throws {status, text} where it does not give one. */
async function ask(address, body, signal, isAgain = false) {
  let response;
  try {
    response = await fetch(address, {
      method: "POST",
      body,
      signal,
      headers: { Accept: "application/json", "X-Part": "yes", "X-CSRF-Token": token() },
      redirect: "error",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw { status: 0, text: "" };
  }
  const type = response.headers.get("Content-Type") ?? "";
  const answer = type.includes("json") ? await response.json() : {};
  // Somebody signed in again in another tab: the token of this page is one of the former session.
  if (response.status === 403 && answer.name === "csrf-token-wrong" && !isAgain && await renewed()) {
    if (body.has("csrf_token")) body.set("csrf_token", token());
    return ask(address, body, signal, true);
  }
  if (!response.ok) throw { status: response.status, text: answer.said ?? answer.title ?? "" };
  return answer;
}

function calculator() {
  const form = $("#patient"), place = $("[data-result]"), live = $("[data-live]");
  const failed = $("[data-failed]"), saved = $("[data-saved]"), peek = $("[data-peek]");
  const left = new Set(); // the fields that were left: only these show what is wrong
  let running, moving, resting, errors = {}, again = () => {};

  const fields = () => new URLSearchParams(new FormData(form));

  /** Keep what was typed in this tab, so that neither a sign-in nor a reload loses it. */
  function keep() {
    const typed = Object.fromEntries(
      [...new FormData(form)].filter(([name, value]) =>
        value !== "" && !["csrf_token", "form_key"].includes(name) && !name.startsWith("what_if")));
    try {
      if (Object.keys(typed).some((name) => name !== "glucose_unit")) {
        sessionStorage.setItem(DRAFT, JSON.stringify(typed));
      } else sessionStorage.removeItem(DRAFT);
    } catch { /* a browser that keeps nothing */ }
  }

  function restore() {
    let typed = null;
    try { typed = JSON.parse(sessionStorage.getItem(DRAFT)); } catch { /* as above */ }
    if (!typed) return;
    for (const [name, value] of Object.entries(typed)) {
      const field = form.elements[name];
      if (field) field.value = value;
    }
    if (["height_cm", "weight_kg", "height_ft", "weight_lb"].some((name) => typed[name])) {
      $(".height").open = true;
    }
  }

  function tell() {
    for (const problem of $$("[data-problem]")) {
      const name = problem.dataset.problem, text = left.has(name) ? errors[name] : undefined;
      problem.hidden = !text;
      $("span", problem).textContent = text ?? "";
      problem.closest("[data-field]").classList.toggle("invalid", Boolean(text));
      const input = document.getElementById(name);
      if (!input) continue;
      if (text) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
    }
  }

  function fail(problem) {
    const kind = problem.status === 401 ? "session" : problem.status ? "other" : "offline";
    for (const each of ["session", "other", "offline"]) {
      $(`[data-failed-${each}]`).hidden = each !== kind;
    }
    $("[data-failed-text]").textContent = problem.text || String(problem.status || "");
    failed.hidden = false;
    if (kind === "session") keep(); // what was typed comes back after the sign-in
  }

  function show(answer) {
    place.innerHTML = answer.result;
    place.classList.remove("stale");
    peek.replaceChildren(...$$(".peek", place));
    errors = answer.errors;
    const height = $("[data-from-height]");
    if (height) height.textContent = answer.from_height;
    tell();
    clearTimeout(resting);
    resting = setTimeout(() => {
      live.textContent = $("[data-sentence]", place)?.textContent ?? "";
    }, REST);
  }

  async function estimate() {
    again = estimate;
    running?.abort();
    running = new AbortController();
    const slow = setTimeout(() => {
      place.classList.add("stale");
      place.setAttribute("aria-busy", "true");
    }, SLOW);
    try {
      const body = fields();
      for (const name of ["what_if_glucose", "what_if_bmi", "what_if_smoking"]) body.delete(name);
      show(await ask(form.dataset.estimate, body, running.signal));
      failed.hidden = true;
    } catch (problem) {
      if (problem.name === "AbortError") { clearTimeout(slow); return; }
      place.classList.add("stale");
      fail(problem);
    }
    clearTimeout(slow);
    place.removeAttribute("aria-busy");
  }

  async function whatIf() {
    moving?.abort();
    moving = new AbortController();
    for (const slider of $$("[data-slider]")) {
      const input = $("input", slider), shown = $("output", slider), was = slider.dataset.was;
      shown.dataset.measured ??= shown.textContent;
      shown.textContent = Number(input.value) === Number(was)
        ? shown.dataset.measured
        : `${Number(input.value).toLocaleString(document.documentElement.lang)} ${shown.dataset.unit}`;
    }
    try {
      const answer = await ask(form.dataset.whatIf, fields(), moving.signal);
      $("[data-what-if-outcome]", place).innerHTML = answer.result;
      clearTimeout(resting);
      resting = setTimeout(() => {
        live.textContent = $("[data-what-if-outcome]", place)?.textContent.trim() ?? "";
      }, REST);
    } catch (problem) {
      if (problem.name !== "AbortError") { again = whatIf; fail(problem); }
    }
  }

  async function save() {
    again = save;
    const button = $("[data-save-button]");
    button.disabled = true;
    for (const field of $$("[data-field]")) left.add(field.dataset.field);
    try {
      const answer = await ask(form.dataset.save, fields());
      if (answer.result) show(answer);
      saved.innerHTML = answer.saved;
      failed.hidden = true;
      if (answer.stored) {
        try { sessionStorage.removeItem(DRAFT); } catch { /* nothing was kept */ }
      } else first(answer);
    } catch (problem) {
      fail(problem);
      failed.scrollIntoView({ block: "nearest" });
    }
    button.disabled = false;
  }

  function first(answer) {
    const name = [...Object.keys(answer.errors), ...answer.missing][0];
    const input = document.getElementById(name) ?? $(`[name="${name}"]`);
    input?.focus();
  }

  function changed(event) {
    if (event.target.name?.startsWith("what_if")) { whatIf(); return; }
    keep();
    saved.replaceChildren();
    // What was right when the field was left is judged again when it is left again.
    const field = event.target.closest("[data-field]")?.dataset.field;
    if (!errors[field]) left.delete(field);
    if (!["name", "country", "province"].includes(event.target.name)) estimate();
  }

  document.addEventListener("input", (event) => { if (event.target.form === form) changed(event); });
  document.addEventListener("focusout", (event) => {
    if (event.target.form !== form || !event.target.name) return;
    const field = event.target.closest("[data-field]");
    if (field) { left.add(field.dataset.field); tell(); }
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (event.submitter?.hasAttribute("data-save-button")) save();
    else estimate();
  });
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.hasAttribute("data-print")) print();
    if (button.hasAttribute("data-retry")) again();
    if (button.hasAttribute("data-as-measured")) {
      for (const slider of $$("[data-slider]")) $("input", slider).value = slider.dataset.was;
      const smoking = $("#what_if_smoking");
      smoking.value = smoking.dataset.was;
      whatIf();
    }
    if (button.hasAttribute("data-copy")) await copy(button);
    if (button.hasAttribute("data-clear")) {
      try { sessionStorage.removeItem(DRAFT); } catch { /* nothing was kept */ }
      left.clear();
      location.assign(location.pathname);
    }
  });

  restore();
  peek.replaceChildren(...$$(".peek", place));
  const chosen = [...new FormData(form)].some(([name, value]) =>
    value !== "" && !["csrf_token", "form_key", "glucose_unit"].includes(name) && !name.startsWith("what_if"));
  if (chosen) { keep(); estimate(); }
}

async function copy(button) {
  const text = $("[data-text]").textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Over plain HTTP there is no clipboard: select the text in a field, as of old.
    const field = Object.assign(document.createElement("textarea"), { value: text });
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
    button.focus();
  }
  const was = button.textContent;
  button.textContent = button.dataset.done;
  setTimeout(() => { button.textContent = was; }, 2000);
}

function batch() {
  const form = $("#batch"), file = $("#file"), drop = $("[data-drop]");
  const progress = $("[data-progress]"), failed = $("[data-failed]"), place = $("[data-batch-result]");

  /** Send the form. fetch tells nothing of how much has been sent; XMLHttpRequest does. */
  function send(wanted) {
    const body = new FormData(form), request = new XMLHttpRequest(), bar = $("progress");
    body.set("do", wanted);
    request.open("POST", form.action);
    request.setRequestHeader("X-Part", "yes");
    request.setRequestHeader("X-CSRF-Token", token());
    request.responseType = wanted === "csv" ? "blob" : "json";
    request.upload.onprogress = (event) => {
      if (event.loaded < event.total) bar.value = (100 * event.loaded) / event.total;
      else bar.removeAttribute("value"); // all is sent: how long the rest takes, nobody knows
    };
    request.onloadend = () => {
      progress.hidden = true;
      const answer = request.response ?? {};
      if (request.status !== 200) { fail(request.status, answer.said ?? answer.title ?? ""); return; }
      failed.hidden = true;
      const type = request.getResponseHeader("Content-Type") ?? "";
      if (wanted === "csv" && type.startsWith("text/csv")) {
        const link = Object.assign(document.createElement("a"), {
          href: URL.createObjectURL(answer), download: "estimates.csv" });
        link.click();
        URL.revokeObjectURL(link.href);
      } else if (wanted === "csv") send("check"); // nothing to give: say why
      else place.innerHTML = answer.result;
    };
    bar.value = 0;
    progress.hidden = false;
    request.send(body);
  }

  function fail(status, text) {
    $("[data-failed-text]").textContent = text || (status ? String(status) : "");
    $("[data-failed-offline]").hidden = status !== 0;
    $("[data-failed-session]").hidden = status !== 401;
    failed.hidden = false;
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(event.submitter?.value ?? "check");
  });
  file.addEventListener("change", () => { if (file.files.length) send("check"); });
  for (const kind of ["dragover", "dragleave", "drop"]) {
    drop.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", kind === "dragover");
      if (kind === "drop" && event.dataTransfer.files.length) {
        file.files = event.dataTransfer.files;
        send("check");
      }
    });
  }
}

if ($("#patient")) calculator();
if ($("#batch")) batch();
// Whoever signs out leaves nothing behind in the tab.
for (const form of $$("form[data-sign-out]")) {
  form.addEventListener("submit", () => {
    try { sessionStorage.removeItem(DRAFT); } catch { /* nothing was kept */ }
  });
}
