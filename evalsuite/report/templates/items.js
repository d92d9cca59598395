// Search, filters, keys and word differences over the changed items. What the items say comes in by textContent alone.
"use strict";
(() => {
  const MOST_ROWS = 25;
  const MOST_SLICES = 200;
  const MOST_CELLS = 4e6;
  const byId = (id) => document.getElementById(id);
  const explorer = byId("explorer");
  const hash = () => location.hash.slice(1);

  // The page with all items says so where another decision's report led to it.
  const asked = /^decision=(\w+)$/.exec(hash());
  if (asked && document.body.dataset.decision && asked[1] !== document.body.dataset.decision) {
    byId("other-decision").hidden = false;
  }
  if (!explorer) return;

  const items = JSON.parse(byId("item-data").textContent).items;
  const find = byId("find");
  const selects = { change: byId("by-change"), suite: byId("by-suite"), against: byId("by-against"), slice: byId("by-slice") };
  const must = byId("by-must");
  const list = byId("list");
  let found = items;
  let start = 0;

  function make(tag, className, text) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  }

  // Difference of two texts, word by word: the longest common subsequence of words, spaces and other characters.
  function words(text) {
    return text.match(/\s+|[\p{L}\p{M}\p{N}_]+|[^]/gu) || [];
  }

  // Whether each word of both texts is common to them.
  function common(one, other) {
    const kept = [new Array(one.length).fill(false), new Array(other.length).fill(false)];
    let head = 0;
    while (head < one.length && head < other.length && one[head] === other[head]) {
      kept[0][head] = kept[1][head] = true;
      head += 1;
    }
    let n = one.length;
    let m = other.length;
    while (n > head && m > head && one[n - 1] === other[m - 1]) {
      n -= 1;
      m -= 1;
      kept[0][n] = kept[1][m] = true;
    }
    const width = m - head + 1;
    if ((n - head + 1) * width > MOST_CELLS) return kept;
    const longest = new Uint16Array((n - head + 1) * width);
    for (let i = n - 1; i >= head; i -= 1) {
      for (let j = m - 1; j >= head; j -= 1) {
        const at = (i - head) * width + (j - head);
        longest[at] = one[i] === other[j] ? longest[at + width + 1] + 1 : Math.max(longest[at + width], longest[at + 1]);
      }
    }
    for (let i = head, j = head; i < n && j < m; ) {
      const at = (i - head) * width + (j - head);
      if (one[i] === other[j]) {
        kept[0][i] = kept[1][j] = true;
        i += 1;
        j += 1;
      } else if (longest[at + width] >= longest[at + 1]) i += 1;
      else j += 1;
    }
    return kept;
  }

  function box(text, className) {
    const pre = make("pre", `text ${className || ""}`, text || "(empty)");
    if (!text) pre.classList.add("empty");
    pre.dir = "auto";
    return pre;
  }

  // A text box in which what the other text lacks stands in elements of its own.
  function marked(parts, kept, tag, className) {
    if (!parts.length) return box("", className);
    const pre = box(" ", className);
    pre.replaceChildren();
    for (let i = 0; i < parts.length; ) {
      let end = i + 1;
      while (end < parts.length && kept[end] === kept[i]) end += 1;
      const text = parts.slice(i, end).join("");
      pre.append(kept[i] ? text : make(tag, "", text));
      i = end;
    }
    return pre;
  }

  function titled(title, ...boxes) {
    const part = make("div");
    part.append(make("h4", "", title), ...boxes);
    return part;
  }

  const address = (item) => `item=${[item.suite, item.against, item.id].map(encodeURIComponent).join("/")}`;

  function body(item) {
    const part = make("div", "body");
    if (item.unscored) part.append(make("p", "small", `Unscored: ${item.unscored}`));
    part.append(make("h4", "", "Prompt"), box(item.prompt));
    const texts = make("div", "texts");
    if (item.references.length) {
      const references = titled(item.references.length > 1 ? "References" : "Reference", ...item.references.map((text) => box(text)));
      if (item.more_references) references.append(make("p", "small soft", `and ${item.more_references} more`));
      texts.append(references);
    }
    const before = words(item.before);
    const after = words(item.output);
    const kept = common(before, after);
    texts.append(
      titled(`Output of ${item.against}`, marked(before, kept[0], "del")),
      titled("Candidate's output", marked(after, kept[1], "ins", "ours")),
    );
    let note = "Marked words are in one of the two outputs only.";
    if (item.differs_unseen) note = "The outputs differ only in the part that is left out here.";
    else if (item.before === item.output) note = "Both outputs are the same.";
    const foot = make("p", "small soft", `${note} `);
    const link = make("a", "", "Link to this item");
    link.href = `#${address(item)}`;
    foot.append(link);
    part.append(texts, foot);
    return part;
  }

  function row(item) {
    const details = make("details", "item");
    const summary = make("summary");
    summary.append(make("b", "mono name", item.id));
    for (const [metric, before, after, worse] of item.changes) {
      summary.append(make("span", `change ${worse ? "down" : "up"}`, `${worse ? "▼ worse" : "▲ better"} ${metric} ${before} → ${after}`));
    }
    if (item.must) summary.append(make("span", "tag", "must pass"));
    const place = [`${item.suite}, against ${item.against}`, ...Object.entries(item.slices).map((pair) => pair.join(" "))];
    for (const text of place) summary.append(make("span", "small soft", text));
    details.append(summary);
    details.addEventListener("toggle", () => {
      if (details.open && details.childElementCount === 1) details.append(body(item));
    });
    return details;
  }

  // Filters
  function text(item) {
    item.text ??= [item.id, item.prompt, item.output, item.before, ...item.references, ...Object.entries(item.slices).flat()]
      .join("\n")
      .toLowerCase();
    return item.text;
  }

  const sliceOf = (key, value) => JSON.stringify([key, value]);

  function filter() {
    const asked = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    const [change, suite, against] = ["change", "suite", "against"].map((name) => selects[name].value);
    const slice = selects.slice.value && JSON.parse(selects.slice.value);
    found = items.filter(
      (item) =>
        (!change || item.broken === (change === "broken")) &&
        (!suite || item.suite === suite) &&
        (!against || item.against === against) &&
        (!slice || (Object.hasOwn(item.slices, slice[0]) && item.slices[slice[0]] === slice[1])) &&
        (!must.checked || item.must) &&
        asked.every((word) => text(item).includes(word)),
    );
    start = 0;
    draw();
  }

  const number = (value) => value.toLocaleString("en");

  function draw() {
    const shown = found.slice(start, start + MOST_ROWS);
    list.replaceChildren(...shown.map(row));
    const broken = found.filter((item) => item.broken).length;
    byId("found").textContent = found.length
      ? `${number(found.length)} of ${number(items.length)} items: ${number(broken)} broken, ${number(found.length - broken)} fixed`
      : `None of the ${number(items.length)} items fits. Clear the filters to see all.`;
    byId("place").textContent = `${number(start + 1)} to ${number(start + shown.length)} of ${number(found.length)}`;
    byId("back").disabled = start === 0;
    byId("forward").disabled = start + MOST_ROWS >= found.length;
    byId("back").parentElement.hidden = found.length <= MOST_ROWS;
  }

  function turn(step) {
    const next = start + step * MOST_ROWS;
    if (next < 0 || next >= found.length) return false;
    start = next;
    draw();
    return true;
  }

  function options(select, all, entries) {
    for (const [value, label] of [["", all], ...entries]) select.append(new Option(label, value));
    select.parentElement.hidden = entries.length < 2;
  }

  function counted(values) {
    const counts = new Map();
    for (const value of values) counts.set(value, (counts.get(value) || 0) + 1);
    return [...counts];
  }

  function fill() {
    const plain = (values) => counted(values).map(([value, count]) => [value, `${value} (${number(count)})`]);
    options(selects.change, "All", plain(items.map((item) => (item.broken ? "broken" : "fixed"))));
    options(selects.suite, "All", plain(items.map((item) => item.suite)));
    options(selects.against, "All", plain(items.map((item) => item.against)));
    const slices = counted(items.flatMap((item) => Object.entries(item.slices).map((pair) => sliceOf(...pair))));
    const most = slices.sort((one, other) => other[1] - one[1]).slice(0, MOST_SLICES).map(([slice, count]) => [...JSON.parse(slice), slice, count]);
    most.sort((one, other) => one[0].localeCompare(other[0]) || one[1].localeCompare(other[1]));
    options(selects.slice, "All", most.map(([key, value, slice, count]) => [slice, `${key}: ${value} (${number(count)})`]));
    must.parentElement.hidden = !items.some((item) => item.must);
  }

  function clear() {
    find.value = "";
    for (const select of Object.values(selects)) select.value = "";
    must.checked = false;
    filter();
  }

  // A link that opens at an item
  function follow() {
    if (!hash().startsWith("item=")) return;
    const place = items.findIndex((item) => address(item) === hash());
    if (place < 0) {
      byId("found").textContent = "The item that this address names did not change, or is not in this page.";
      byId("found").scrollIntoView({ block: "center" });
      return;
    }
    clear();
    start = place - (place % MOST_ROWS);
    draw();
    const details = list.children[place - start];
    details.open = true;
    details.scrollIntoView({ block: "start" });
    details.firstElementChild.focus({ preventScroll: true });
  }

  // Keys
  function move(step) {
    const rows = [...list.children];
    const at = rows.findIndex((each) => each.contains(document.activeElement));
    let next = at < 0 ? (step > 0 ? 0 : -1) : at + step;
    if (next >= list.children.length && turn(1)) next = 0;
    else if (at >= 0 && next < 0 && turn(-1)) next = list.children.length - 1;
    const target = list.children[next];
    if (!target) return;
    target.firstElementChild.focus({ preventScroll: true });
    target.scrollIntoView({ block: "nearest" });
  }

  const actions = {
    j: () => move(1),
    k: () => move(-1),
    "/": () => {
      find.focus();
      find.select();
    },
  };

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && document.activeElement === find) {
      move(1);
      return;
    }
    if (!byId("use-keys").checked || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, select, textarea") || !Object.hasOwn(actions, event.key)) return;
    event.preventDefault();
    actions[event.key]();
  });

  let wait;
  find.addEventListener("input", () => {
    clearTimeout(wait);
    wait = setTimeout(filter, 120);
  });
  for (const element of [...Object.values(selects), must]) element.addEventListener("change", filter);
  byId("clear").addEventListener("click", clear);
  for (const [id, step] of [["back", -1], ["forward", 1]]) {
    byId(id).addEventListener("click", () => {
      if (turn(step)) list.scrollIntoView({ block: "start" });
    });
  }
  addEventListener("hashchange", follow);

  fill();
  filter();
  if (byId("static-items")) byId("static-items").hidden = true;
  explorer.hidden = false;
  follow();
})();
