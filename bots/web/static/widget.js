// <script src="https://chat.example.com/widget.js" async></script> adds a button that opens the chat in a frame. The bot
// lets itself be framed by the sites in web.origins only.
(() => {
  const here = new URL(document.currentScript.src);
  const chinese = (document.documentElement.lang || navigator.language).toLowerCase().startsWith("zh");
  const [open, close] = chinese ? ["打开聊天", "关闭聊天"] : ["Open the chat", "Close the chat"];
  const host = document.createElement("div");
  const root = host.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet(); // not a <style>: the site's own policy may forbid those
  sheet.replaceSync(`
    button { position: fixed; right: 1rem; bottom: 1rem; z-index: 2147483647; width: 3.5rem; height: 3.5rem; border: 0;
      border-radius: 50%; background: #0b6e4f; color: #fff; font-size: 1.5rem; cursor: pointer; box-shadow: 0 2px 8px #0006; }
    button:focus-visible { outline: 3px solid #6fd0ae; outline-offset: 2px; }
    iframe { position: fixed; right: 1rem; bottom: 5.25rem; z-index: 2147483647; width: min(24rem, calc(100vw - 2rem));
      height: min(36rem, calc(100dvh - 6.5rem)); border: 1px solid #8888; border-radius: 1rem; background: Canvas; }
    [hidden] { display: none; }`);
  root.adoptedStyleSheets = [sheet];
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: "💬" });
  const frame = Object.assign(document.createElement("iframe"), { title: "Chat", hidden: true });
  const label = () => {
    button.setAttribute("aria-label", frame.hidden ? open : close);
    button.setAttribute("aria-expanded", String(!frame.hidden));
  };
  button.addEventListener("click", () => {
    if (!frame.src) frame.src = `${here.origin}/?lang=${chinese ? "zh" : "en"}`;
    frame.hidden = !frame.hidden;
    label();
    if (!frame.hidden) frame.focus();
  });
  label();
  root.append(button, frame);
  (document.body || document.documentElement).append(host);
})();
