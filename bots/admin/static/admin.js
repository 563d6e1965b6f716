// Keeps the parts of a page that name where they come from up to date, as long as the page is looked at.

const PAUSE = 2000; // milliseconds

for (const part of document.querySelectorAll("[data-live]")) {
  setInterval(async () => {
    if (document.hidden || part.contains(document.activeElement)) return;
    const response = await fetch(part.dataset.live).catch(() => null);
    if (response?.status === 401) location.reload();
    if (response?.ok) part.innerHTML = await response.text();
  }, PAUSE);
}
