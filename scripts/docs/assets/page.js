// What a page does by itself: the menu of small screens, light or dark, and the search over headings.
const root = document.documentElement;
const byId = (id) => document.getElementById(id);

const navigation = byId("navigation");
const here = navigation.querySelector("[aria-current]");
if (here.offsetTop > navigation.clientHeight) navigation.scrollTop = here.offsetTop - navigation.clientHeight / 2;

const menu = byId("menu");
menu.addEventListener("click", () => {
  const open = navigation.classList.toggle("open");
  menu.setAttribute("aria-expanded", String(open));
  if (open) scrollTo(0, 0);
});

// Storage may be refused, as in a private window: then the choice lasts as long as the page.
const stored = (act) => {
  try {
    return act(localStorage);
  } catch {
    return null;
  }
};
const theme = stored((storage) => storage.getItem("theme"));
if (theme === "light" || theme === "dark") root.dataset.theme = theme;
byId("theme").addEventListener("click", () => {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  stored((storage) => storage.setItem("theme", root.dataset.theme));
});

const field = byId("search");
const found = byId("found");

/** Headings with every word of the query: the one that is it first, then those that begin with it. */
function search(query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return [];
  const rank = ([, text]) => {
    const heading = text.toLowerCase();
    if (heading === words.join(" ")) return 0;
    return heading.startsWith(words[0]) ? 1 : 2;
  };
  return window.searchIndex
    .filter(([title, text]) => words.every((word) => `${title} ${text}`.toLowerCase().includes(word)))
    .sort((one, other) => rank(one) - rank(other))
    .slice(0, 12);
}

function show() {
  const results = search(field.value);
  found.replaceChildren(
    ...results.map(([title, text, address]) => {
      const item = document.createElement("li");
      const link = document.createElement("a");
      link.href = `${root.dataset.root}/${address}`;
      link.textContent = text;
      if (title !== text) {
        const page = document.createElement("small");
        page.textContent = title;
        link.append(page);
      }
      item.append(link);
      return item;
    }),
  );
  if (results.length === 0) {
    const item = document.createElement("li");
    item.className = "none";
    item.textContent = "No heading has these words.";
    found.append(item);
  }
  found.hidden = field.value.trim() === "";
}

field.addEventListener("input", show);
field.addEventListener("focus", show);
document.addEventListener("click", (event) => {
  if (!event.target.closest(".search")) found.hidden = true;
});
document.addEventListener("keydown", (event) => {
  const links = [...found.querySelectorAll("a")];
  const at = links.indexOf(document.activeElement);
  if (event.key === "/" && document.activeElement !== field) {
    event.preventDefault();
    field.focus();
  } else if (event.key === "Escape") {
    found.hidden = true;
  } else if (!found.hidden && event.key === "ArrowDown") {
    event.preventDefault();
    links[Math.min(at + 1, links.length - 1)]?.focus();
  } else if (!found.hidden && event.key === "ArrowUp") {
    event.preventDefault();
    (at > 0 ? links[at - 1] : field).focus();
  } else if (event.key === "Enter" && document.activeElement === field) {
    links[0]?.click();
  }
});
