// The chat page. The server tells what happens (/api/events); this file shows it. All of a turn comes from the server,
// so that a page that connects again, after a reload or a restart of the bot, shows the same conversation.

const words = document.body.dataset;
const byId = (id) => document.getElementById(id);
const [turns, form, text, stop, status, said, empty, newest] =
  ["turns", "ask", "text", "stop", "status", "said", "empty", "newest"].map(byId);
const shown = new Map(); // turn id -> its list item
const RETRY_MS = [500, 1000, 2000, 5000, 10000];
const DRAFT = "parley.draft";

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

async function post(path, body, key) {
  const headers = { "Content-Type": "application/json", "Idempotency-Key": key, Prefer: "respond-async" };
  const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(String(response.status));
  return response.json();
}

// Sends until the bot has it: the key makes the same message count once, however often it arrives.
async function persist(path, body) {
  const key = crypto.randomUUID ? crypto.randomUUID() : String(Math.random()).slice(2) + Date.now();
  for (let attempt = 0; ; attempt++) {
    try {
      return await post(path, body, key);
    } catch (error) {
      if (/^4/.test(error.message)) throw error;
      status.textContent = words.offline;
      await new Promise((wake) => setTimeout(wake, RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)]));
    }
  }
}

// --- showing ---------------------------------------------------------------------------------------------------------

function itemOf(id) {
  if (!shown.has(id)) {
    const item = element("li", { className: "turn" });
    item.dataset.turn = id;
    const next = [...shown.keys()].filter((other) => other > id).sort((a, b) => a - b)[0];
    turns.insertBefore(item, next === undefined ? null : shown.get(next));
    shown.set(id, item);
  }
  return shown.get(id);
}

function show(turn) {
  const item = itemOf(turn.id);
  item.classList.toggle("writing", !turn.reply);
  item.replaceChildren();
  if (turn.question) {
    const label = element("span", { className: "hidden", textContent: `${words.you}: ` });
    item.append(element("div", { className: "question" }, label, element("span", { textContent: turn.question })));
  }
  item.append(turn.reply ? replied(turn) : element("div", { className: "answer", textContent: turn.written || words.thinking }));
  refresh();
}

function replied(turn) {
  const answer = element("div", { className: "answer" });
  const body = element("div", { className: "body" });
  body.innerHTML = turn.reply.html; // made by the server: text is escaped, links are checked
  for (const block of body.querySelectorAll("pre")) block.after(copying(block));
  answer.append(body);
  if (turn.reply.error) answer.classList.add("refused");
  if (turn.reply.buttons.length) answer.append(buttons(turn));
  return answer;
}

function copying(block) {
  const button = element("button", { type: "button", className: "copy", textContent: words.copy });
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(block.textContent);
    button.textContent = words.copied;
    said.textContent = words.copied;
  });
  block.tabIndex = 0; // what scrolls must be reachable by keyboard
  return button;
}

const FACES = { up: "👍", down: "👎", again: "↻" };

function buttons(turn) {
  const row = element("div", { className: "buttons" });
  for (const { name, label } of turn.reply.buttons) {
    const face = FACES[name];
    const button = element("button", { type: "button", textContent: face || label, className: face ? "face" : "chip" });
    if (face) button.setAttribute("aria-label", label), (button.title = label);
    if (name === "up" || name === "down") {
      button.setAttribute("aria-pressed", String(turn.vote === (name === "up" ? 1 : -1)));
    }
    button.addEventListener("click", () => press(turn, name, row));
    row.append(button);
  }
  return row;
}

async function press(turn, name, row) {
  const done = await persist("/api/press", { turn: turn.id, button: name }).catch(() => ({ notice: words.failed }));
  if (done.notice) status.textContent = said.textContent = done.notice;
  if (!done.vote) return;
  turn.vote = done.vote;
  const [up, down] = row.querySelectorAll("[aria-pressed]");
  up.setAttribute("aria-pressed", String(done.vote === 1));
  down.setAttribute("aria-pressed", String(done.vote === -1));
}

function refresh() {
  const writing = turns.querySelector(".writing");
  stop.hidden = !writing;
  turns.ariaBusy = String(Boolean(writing));
  empty.hidden = shown.size > 0;
  follow();
}

// --- scrolling -------------------------------------------------------------------------------------------------------

const main = turns.parentElement;
let follows = true;
main.addEventListener("scroll", () => {
  follows = main.scrollHeight - main.scrollTop - main.clientHeight < 80;
  newest.hidden = follows;
});
function follow() {
  if (follows) main.scrollTop = main.scrollHeight;
}
newest.addEventListener("click", () => {
  follows = true;
  follow();
});

// --- what the server tells -------------------------------------------------------------------------------------------

function connect(attempt = 0) {
  const source = new EventSource("/api/events");
  const on = (name, handle) => source.addEventListener(name, (event) => handle(JSON.parse(event.data)));
  on("transcript", ({ turns: all }) => {
    attempt = 0;
    status.textContent = "";
    shown.clear();
    turns.replaceChildren();
    all.forEach(show);
    refresh();
  });
  on("begun", show);
  on("written", ({ turn, at, piece }) => {
    const answer = shown.get(turn)?.querySelector(".answer");
    if (!answer) return;
    answer.textContent = (at === 0 ? "" : answer.textContent.slice(0, at)) + piece;
    follow();
  });
  on("replied", (turn) => {
    show(turn);
    said.textContent = shown.get(turn.id).querySelector(".body").textContent;
  });
  on("withdrawn", ({ turn }) => {
    shown.get(turn)?.remove();
    shown.delete(turn);
    refresh();
  });
  source.onerror = () => {
    status.textContent = words.offline;
    if (source.readyState !== EventSource.CLOSED) return; // it connects again by itself
    setTimeout(() => connect(attempt + 1), RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)]);
  };
}

// --- what the person does --------------------------------------------------------------------------------------------

async function ask(question) {
  sessionStorage.setItem(DRAFT, question);
  follows = true;
  const waiting = element("li", { className: "turn writing" },
    element("div", { className: "question", textContent: question }),
    element("div", { className: "answer", textContent: words.thinking }));
  turns.append(waiting);
  refresh();
  try {
    const { turn, reply } = await persist("/api/chat", { text: question });
    status.textContent = turn === null && reply ? reply.markdown : "";
    said.textContent = status.textContent;
    if (turn !== null && !shown.has(turn)) {
      turns.append(waiting); // a transcript without it may have come meanwhile
      waiting.dataset.turn = turn;
      shown.set(turn, waiting);
    } else waiting.remove();
    sessionStorage.removeItem(DRAFT);
  } catch {
    waiting.remove();
    text.value = question;
    status.textContent = words.failed;
  }
  refresh();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const question = text.value.trim();
  if (!question) return;
  text.value = "";
  grow();
  ask(question);
});

text.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  form.requestSubmit();
});

function grow() {
  text.rows = Math.min(8, text.value.split("\n").length);
}
text.addEventListener("input", grow);

stop.addEventListener("click", () => {
  const writing = turns.querySelector(".writing[data-turn]");
  if (writing) persist("/api/press", { turn: Number(writing.dataset.turn), button: "stop" }).catch(() => {});
});

for (const chip of document.querySelectorAll("[data-question]")) {
  chip.addEventListener("click", () => ask(chip.dataset.question));
}

const menu = byId("menu");
for (const entry of document.querySelectorAll("[data-command]")) {
  entry.addEventListener("click", () => {
    menu.open = false;
    const takesMore = entry.querySelector("code").textContent.includes(" ");
    if (!takesMore || entry.dataset.command === "/forget") return ask(entry.dataset.command);
    text.value = `${entry.dataset.command} `;
    text.focus();
  });
}
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && menu.open) {
    menu.open = false;
    menu.firstElementChild.focus();
  }
});
document.addEventListener("click", (event) => {
  if (!menu.contains(event.target)) menu.open = false;
});

text.value = sessionStorage.getItem(DRAFT) || "";
connect();
