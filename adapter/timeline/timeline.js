"use strict";
// Draws the timeline that stands in the page as JSON. Whatever is in it becomes text nodes only, and never markup.
(() => {
  const HEIGHT = 26, ABOVE = 8, FEW = 80, ARROWS = 80, PRINTED = 2000;
  const GLYPHS = { resolved: "✓", rejected: "✕", rejected_canceled: "⊘", rejected_timedout: "◷", pending: "◌" };
  const WAYS = { paused: "‖", lost: "?", deadlocked: "∞" };
  const SIGNS = { timer: "◴", retry: "↻", killed: "†", failed: "✕", paused: "‖", held: "⧗", missed: "?", cancelled: "⊘", "timed out": "◷", deadline: "⚑" };
  const STATES = { resolved: "resolved", rejected: "rejected", rejected_canceled: "cancelled", rejected_timedout: "timed out", pending: "pending" };
  const KEYS = { waiting: "waits to start", running: "runs", suspended: "suspended", outside: "settled from outside", paused: "paused by a drift", held: "its Lambda can't run" };
  const $ = (id) => document.getElementById(id);

  function make(tag, classes, text) {
    const made = document.createElement(tag);
    if (classes) made.className = classes;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  // The data, by name.

  const data = JSON.parse($("data").textContent);
  const name = (place) => (place === undefined || place < 0 ? "" : data.names[place]);
  const rows = data.rows.map((raw, position) => {
    const [parent, id, kind, fn, target, state, way, begin, end, open, segments, marks, more] = raw;
    let at = begin;
    return {
      position, parent, id, kind: name(kind), fn: name(fn), target: name(target), state: name(state), way: name(way),
      begin, end, open: open === 1, more, children: [], level: 1, bad: false, badBelow: 0,
      segments: segments.map(([part, until, attempt, why]) => {
        const segment = { part: data.parts[part], begin: at, end: until, attempt: attempt || 0, why: name(why) };
        at = until;
        return segment;
      }),
      marks: marks.map(([sign, when, text]) => ({ sign: data.signs[sign], at: when, text: name(text) })),
    };
  });
  const positions = new Map(rows.map((row) => [row.id, row.position]));
  const arrows = data.arrows.map(([source, begin, target, end]) => ({ source, begin, target, end }));
  const moved = new Map();
  for (const arrow of arrows) {
    for (const end of [arrow.source, arrow.target]) moved.set(end, [...(moved.get(end) || []), arrow]);
  }
  for (const row of rows) {
    row.bad = ["rejected", "rejected_timedout"].includes(row.state) || row.way in WAYS;
    if (row.parent >= 0) {
      rows[row.parent].children.push(row.position);
      row.level = rows[row.parent].level + 1;
    }
  }
  for (let at = rows.length - 1; at >= 0; at--) {
    if (rows[at].parent >= 0) rows[rows[at].parent].badBelow += rows[at].badBelow + (rows[at].bad ? 1 : 0);
  }
  const total = Math.max(1, data.now);
  const roots = rows.filter((row) => row.parent < 0);

  // Words.

  function span(micros) {
    if (micros < 100) return "0 ms";
    if (micros < 1e4) return `${(micros / 1e3).toFixed(1)} ms`;
    if (micros < 1e6) return `${Math.round(micros / 1e3)} ms`;
    const seconds = micros / 1e6;
    if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(2) : seconds.toFixed(1)} s`;
    const minutes = Math.floor(seconds / 60), parts = [];
    for (const [count, unit] of [[Math.floor(minutes / 1440), "d"], [Math.floor(minutes / 60) % 24, "h"], [minutes % 60, "min"], [Math.floor(seconds) % 60, "s"]]) {
      if (count && parts.length < 2) parts.push(`${count} ${unit}`);
    }
    return parts.join(" ");
  }
  function coarse(micros) {
    for (const [length, unit] of [[864e8, "d"], [36e8, "h"], [6e7, "min"], [1e6, "s"]]) {
      if (micros >= length) return `${Math.round(micros / length)} ${unit}`;
    }
    return span(micros);
  }
  const clock = (micros) => new Date((data.began + micros) / 1000).toISOString().replace("T", " ");
  const short = (fn) => (fn === "lambda-await:block" ? "a block of a map" : fn.slice(fn.lastIndexOf(":") + 1));
  function called(row) {
    if (row.kind === "external") return "promise";
    if (row.kind === "follow" || row.kind === "detach") return `${row.kind} ${row.more.root || ""}`;
    if (row.kind === "inline") return `run ${short(row.fn)}`;
    return short(row.fn) || "function";
  }
  const glyph = (row) => WAYS[row.way] || GLYPHS[row.state] || "·";
  const tone = (row) => (row.bad ? (row.way in WAYS ? "warn-text" : "bad-text") : row.state === "resolved" ? "good-text" : "dim");
  const stateOf = (row) => (row.state === "pending" && row.way ? row.way : STATES[row.state] || row.state);

  // The scale: from times to places between 0 and 1.

  function collapsed() {
    const edges = new Map();
    const busy = (at, change) => edges.set(at, (edges.get(at) || 0) + change);
    for (const row of rows) {
      busy(row.begin, 0); busy(row.end, 0);
      for (const one of row.segments) {
        const works = one.part === "running" || one.part === "waiting" ? 1 : 0;
        busy(one.begin, works); busy(one.end, -works);
      }
    }
    busy(0, 0); busy(total, 0);
    const times = [...edges.keys()].filter((at) => at >= 0 && at <= total).sort((a, b) => a - b);
    const weights = [], idle = [];
    let working = 0;
    for (let at = 0; at + 1 < times.length; at++) {
      working += edges.get(times[at]);
      weights.push(Math.pow(times[at + 1] - times[at], 0.4));
      idle.push(working <= 0);
    }
    const worked = weights.reduce((sum, weight, at) => sum + (idle[at] ? 0 : weight), 0) || 1;
    const cap = Math.max(worked * 0.1, 1e-9);
    const places = [0], gaps = [];
    weights.forEach((weight, at) => {
      const given = idle[at] ? Math.min(weight, cap) : weight;
      if (idle[at] && weight > cap) gaps.push([at, at + 1]);
      places.push(places[at] + given);
    });
    const all = places[places.length - 1] || 1;
    return { times, places: places.map((place) => place / all), gaps: gaps.map(([from, to]) => [times[from], times[to]]) };
  }
  const linear = { times: [0, total], places: [0, 1], gaps: [] };
  const scales = { collapsed: collapsed(), linear };
  let scale = scales.collapsed, view = { from: 0, to: 1 }, width = 600;

  function between(keys, values, key) {
    let low = 0, high = keys.length - 1;
    if (key <= keys[0]) return values[0];
    if (key >= keys[high]) return values[high];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (keys[middle] <= key) low = middle; else high = middle;
    }
    const length = keys[high] - keys[low];
    return values[low] + (length ? ((key - keys[low]) / length) * (values[high] - values[low]) : 0);
  }
  const RIGHT = 74;
  const usable = () => Math.max(40, width - RIGHT);
  const x = (at) => 6 + ((between(scale.times, scale.places, at) - view.from) / (view.to - view.from)) * usable();
  const timeAt = (px) => between(scale.places, scale.times, view.from + ((px - 6) / usable()) * (view.to - view.from));

  // Which rows are there, and which of them are drawn.

  const folded = new Set();
  let visible = [], place = new Map(), picked = -1, found = [], foundAt = -1;

  function foldAll(keepFailures) {
    folded.clear();
    for (const row of rows) {
      if (row.children.length && !(keepFailures && (row.badBelow || row.parent < 0))) folded.add(row.position);
    }
  }
  function list() {
    visible = [];
    const left = roots.map((row) => row.position).reverse();
    while (left.length) {
      const at = left.pop();
      visible.push(at);
      if (!folded.has(at)) for (let i = rows[at].children.length - 1; i >= 0; i--) left.push(rows[at].children[i]);
    }
    place = new Map(visible.map((at, index) => [at, index]));
    $("all").style.height = `${visible.length * HEIGHT + 40}px`;
    $("rows").setAttribute("aria-rowcount", visible.length);
  }

  function segmentOf(row, one, last) {
    const from = Math.max(-20, x(one.begin)), to = Math.min(width + 20, x(one.end));
    if (to < -10 || from > width + 10) return null;
    const after = row.segments[row.segments.indexOf(one) + 1], broke = after && /failed|died/.test(after.why);
    const failed = one.part === "running" && (broke || (!after && row.bad && !row.open));
    const made = make("div", `part ${one.part}${last && row.open ? " open" : ""}${failed ? " failed" : ""}`);
    made.style.left = `${from}px`;
    made.style.width = `${Math.max(2, to - from - (one.part === "running" ? 0.5 : 0))}px`;
    made.title = `${KEYS[one.part]}${one.attempt > 1 ? `, attempt ${one.attempt}` : ""}${one.why ? `: ${one.why}` : ""} · ${span(one.end - one.begin)}`;
    return made;
  }
  function markOf(mark) {
    const at = x(mark.at);
    if (at < -8 || at > width + 8) return null;
    const bad = ["killed", "failed", "timed out", "missed"].includes(mark.sign);
    const made = make("span", `mark ${bad ? "bad-text" : ["paused", "held"].includes(mark.sign) ? "warn-text" : "dim"}`, SIGNS[mark.sign]);
    made.style.left = `${at}px`;
    made.title = `${mark.sign}${mark.text ? `: ${mark.text}` : ""} · ${clock(mark.at)}`;
    return made;
  }
  function barsOf(row) {
    const cell = make("div", `cell time-cell${row.state === "rejected_canceled" ? " gone" : ""}`);
    cell.setAttribute("role", "gridcell");
    // Of very many parts in one row the eye sees but the pixels.
    const step = Math.max(1, Math.floor(row.segments.length / 400));
    row.segments.forEach((one, at) => {
      if (at % step && at !== row.segments.length - 1) return;
      const made = segmentOf(row, one, at === row.segments.length - 1);
      if (made) cell.append(made);
    });
    if (!row.segments.length) {
      const made = segmentOf(row, { part: row.kind === "external" ? "outside" : "running", begin: row.begin, end: row.begin, attempt: 0, why: "" }, false);
      if (made) cell.append(made);
    }
    row.marks.slice(0, 60).forEach((mark) => { const made = markOf(mark); if (made) cell.append(made); });
    const from = x(row.begin), to = Math.max(x(row.end), from + 2);
    const right = to < width - 80 || from < 90, error = right && to < width - 200 && row.more.error ? `  ${row.more.error}` : "";
    const text = make("span", `took${row.bad ? " bad-text" : ""}`, span(row.end - row.begin) + (row.open ? " so far" : "") + error);
    if (right) text.style.left = `${Math.max(4, Math.min(to + 6, width - 70))}px`;
    else text.style.right = `${Math.max(4, width - from + 4)}px`;
    cell.append(text);
    return cell;
  }
  function nameOf(row) {
    const cell = make("div", "cell name-cell");
    cell.setAttribute("role", "rowheader");
    cell.style.paddingLeft = `${10 + Math.min(row.level - 1, 14) * 15}px`;
    const fold = make("button", "fold", row.children.length ? (folded.has(row.position) ? "▸" : "▾") : "");
    fold.type = "button"; fold.tabIndex = -1; fold.setAttribute("aria-hidden", "true");
    if (row.children.length) fold.dataset.fold = row.position;
    cell.append(fold, make("span", `glyph ${tone(row)}`, glyph(row)), make("span", "fn", called(row)), make("span", "id", row.id));
    cell.title = `${row.fn || called(row)}\n${row.id}`;
    if (row.children.length && folded.has(row.position)) {
      cell.append(make("span", "count", `${row.children.length.toLocaleString("en")} below`));
      if (row.badBelow) cell.append(make("span", "count bad-text", `${row.badBelow} ✕`));
    }
    return cell;
  }
  function rowOf(row, index) {
    const made = make("div", `row${row.position === picked ? " picked" : ""}${found.includes(row.position) ? " found" : ""}`);
    made.id = `row-${row.position}`;
    made.dataset.at = row.position;
    made.style.top = `${index * HEIGHT}px`;
    const told = { role: "row", "aria-level": row.level, "aria-rowindex": index + 1, "aria-selected": row.position === picked };
    if (row.children.length) told["aria-expanded"] = !folded.has(row.position);
    told["aria-label"] = `${called(row)}, ${row.id}, ${stateOf(row)}, ${span(row.end - row.begin)}`;
    for (const [key, value] of Object.entries(told)) made.setAttribute(key, value);
    made.append(nameOf(row), barsOf(row));
    return made;
  }
  function draw(everything = false) {
    const box = $("rows"), name = $("axis").firstElementChild.getBoundingClientRect().width;
    width = Math.max(120, box.clientWidth - name);
    const first = everything ? 0 : Math.max(0, Math.floor(box.scrollTop / HEIGHT) - ABOVE);
    const last = everything ? PRINTED : Math.ceil((box.scrollTop + box.clientHeight) / HEIGHT) + ABOVE;
    const shown = visible.slice(first, last);
    $("shown").replaceChildren(...shown.map((at, index) => rowOf(rows[at], first + index)));
    drawArrows(shown, name);
    drawAxis();
    box.setAttribute("aria-activedescendant", picked >= 0 ? `row-${picked}` : "");
  }
  function drawArrows(shown, left) {
    const seen = new Set(shown);
    let some = [];
    for (const at of shown) for (const arrow of moved.get(at) || []) if (seen.has(arrow.source) && seen.has(arrow.target)) some.push(arrow);
    some = [...new Set(some)];
    if (some.length > ARROWS) some = some.filter((arrow) => arrow.source === picked || arrow.target === picked).slice(0, ARROWS);
    const space = "http://www.w3.org/2000/svg", drawn = [];
    for (const arrow of some) {
      const x1 = left + x(arrow.begin), x2 = left + x(arrow.end);
      if (Math.max(x1, x2) < left || Math.min(x1, x2) > left + width) continue;
      const y1 = place.get(arrow.source) * HEIGHT + 13, y2 = place.get(arrow.target) * HEIGHT + 13;
      const up = y2 < y1 ? -1 : 1, mine = arrow.source === picked || arrow.target === picked ? "picked" : "";
      const path = document.createElementNS(space, "path"), head = document.createElementNS(space, "path");
      const y = y2 - up * 9, bend = Math.max(6, Math.abs(x2 - x1) / 2);
      path.setAttribute("d", `M${x1} ${y1} C${x1 + bend} ${y1} ${x2} ${y + (y1 - y) / 2} ${x2} ${y}`);
      head.setAttribute("d", `M${x2 - 3} ${y} L${x2 + 3} ${y} L${x2} ${y + up * 4} Z`);
      path.setAttribute("class", mine); head.setAttribute("class", `head ${mine}`);
      drawn.push(path, head);
    }
    $("arrows").setAttribute("height", visible.length * HEIGHT);
    $("arrows").replaceChildren(...drawn);
  }
  function drawAxis() {
    const made = [];
    for (const [from, to] of scale.gaps) {
      const a = x(from), b = x(to);
      if (b < 0 || a > width || b - a < 16) continue;
      const gap = make("div", "gap");
      gap.append(make("span", "", coarse(to - from)));
      gap.style.left = `${a}px`; gap.style.width = `${b - a}px`;
      gap.title = `${span(to - from)} in which nothing ran`;
      made.push(gap);
    }
    const count = Math.max(2, Math.floor(usable() / 110));
    let before = null;
    for (let i = 0; i <= count; i++) {
      const px = 6 + (i / count) * usable(), at = timeAt(px);
      if (scale.gaps.some(([from, to]) => px > x(from) - 62 && px < x(to) - 2)) continue;
      const text = at < 1 ? "0" : `+${span(at)}`;
      if (text === before) continue;
      before = text;
      const tick = make("div", "tick", text);
      tick.style.left = `${px}px`; tick.title = clock(at);
      made.push(tick);
    }
    $("ticks").replaceChildren(...made);
  }

  // One promise in detail.

  function entry(listed, term, value) {
    if (value === "" || value === undefined || value === null) return;
    const dd = make("dd");
    dd.append(value instanceof Node ? value : document.createTextNode(value));
    listed.append(make("dt", "", term), dd);
  }
  function link(id, text) {
    if (!positions.has(id)) return make("code", "", text || id);
    const made = make("a", "mono", text || id);
    made.href = `#${encodeURIComponent(id)}`;
    return made;
  }
  function pretty(text) {
    try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
  }
  function block(into, title, text, classes) {
    into.append(make("h3", "", title), make("pre", classes || "", text));
  }
  function payload(into, title, value) {
    if (value === undefined) return;
    if (value === null) {
      into.append(make("h3", "", title), make("p", "dim", data.payloads ? "Encrypted, or in a bucket: not in this file." : "Left out of this file."));
    } else block(into, title, pretty(value));
  }
  function outcome(into, row) {
    const value = row.more.value;
    if (row.state !== "rejected" || !value) return payload(into, "Outcome", value);
    try {
      const error = JSON.parse(value);
      block(into, "Error", `${String(error.class).replace(":", ".").replace(/^builtins\./, "")}: ${error.message}`, "error");
      for (const note of error.notes || []) into.append(make("p", "dim", String(note)));
      if (error.traceback) block(into, "Remote traceback", String(error.traceback).trimEnd());
      if (error.group) block(into, "Its members", JSON.stringify(error.group, null, 2));
    } catch { block(into, "Error", value, "error"); }
    return undefined;
  }
  function logs(row) {
    const { region, group } = data.logs;
    if (!region || !group) return "";
    const twice = (text) => encodeURIComponent(encodeURIComponent(text)).replaceAll("%", "$");
    const filter = `{ $.promise = "${row.id.slice(0, 40)}*" }`;
    const from = Math.floor((data.began + row.begin) / 1000) - 1000, to = Math.ceil((data.began + row.end) / 1000) + 60000;
    const made = make("a", "", "CloudWatch");
    made.href = `https://${encodeURIComponent(region)}.console.aws.amazon.com/cloudwatch/home?region=${encodeURIComponent(region)}#logsV2:log-groups/log-group/${twice(group)}/log-events$3FfilterPattern$3D${twice(filter)}$26start$3D${from}$26end$3D${to}`;
    made.rel = "noreferrer"; made.target = "_blank";
    return made;
  }
  function facts(row) {
    const listed = make("dl"), more = row.more, sums = {};
    for (const one of row.segments) sums[one.part] = (sums[one.part] || 0) + one.end - one.begin;
    entry(listed, "Created", `${clock(row.begin)}`);
    if (!row.open) entry(listed, "Ended", clock(row.end));
    entry(listed, row.open ? "So far" : "Took", span(row.end - row.begin));
    for (const [part, sum] of Object.entries(sums)) entry(listed, `· ${KEYS[part]}`, span(sum));
    if (more.deadline) entry(listed, "Deadline", `${clock(more.deadline)} (${span(Math.abs(more.deadline - row.begin))} after it began)`);
    const attempts = Math.max(0, ...row.segments.map((one) => one.attempt));
    entry(listed, "Attempts", attempts > 1 || more.retries ? String(Math.max(attempts, (more.retries || 0) + 1)) : "");
    entry(listed, "Lambda", row.target);
    entry(listed, "Kind", row.kind);
    if (row.parent >= 0) entry(listed, "Caller", link(rows[row.parent].id));
    if (more.root) entry(listed, "Execution", link(more.root));
    if (more.from) entry(listed, "Detached by", link(more.from));
    if (more.by) entry(listed, "Created by", make("code", "", more.by));
    for (const [key, value] of Object.entries(more.tags || {})) entry(listed, key, value);
    if (more.dollars) entry(listed, "Cost", `about $${more.dollars.toPrecision(2)}`);
    entry(listed, "Log", logs(row));
    if (more.unread) entry(listed, "Below", "its own promises were not read");
    return listed;
  }
  function happenings(into, row) {
    const told = [
      ...row.segments.map((one) => [one.begin, `${KEYS[one.part]}${one.attempt > 1 ? `, attempt ${one.attempt}` : ""}${one.why ? ` (${one.why})` : ""}, ${span(one.end - one.begin)}`]),
      ...row.marks.map((mark) => [mark.at, `${SIGNS[mark.sign]} ${mark.sign}${mark.text ? `: ${mark.text}` : ""}`]),
    ].sort((a, b) => a[0] - b[0]);
    for (const arrow of (moved.get(row.position) || []).slice(0, 50)) {
      if (arrow.target === row.position) told.push([arrow.end, "moved on by ", rows[arrow.source].id]);
    }
    told.sort((a, b) => a[0] - b[0]);
    const listed = make("ol");
    for (const [at, text, id] of told.slice(0, 200)) {
      const item = make("li"), said = make("span", "", text);
      if (id) said.append(link(id));
      const when = make("span", "", at < 0 ? `−${span(-at)}` : `+${span(at)}`);
      when.title = clock(at);
      item.append(when, said);
      listed.append(item);
    }
    if (told.length > 200) listed.append(make("li", "dim", `and ${told.length - 200} more`));
    into.append(make("h3", "", "What happened"), listed);
  }
  function inspect() {
    const into = $("inspector"), row = rows[picked];
    into.replaceChildren();
    if (!row) return into.append(make("p", "dim", "Choose a promise."));
    into.append(make("h2", "", row.fn || called(row)), make("code", "", row.id));
    into.append(make("p", `state ${tone(row)}`, `${glyph(row)} ${stateOf(row)}`));
    if (row.more.stands) into.append(make("p", "", row.more.stands));
    into.append(facts(row));
    payload(into, "Arguments", row.more.args);
    outcome(into, row);
    payload(into, "Why it is paused", row.more.paused);
    happenings(into, row);
    into.scrollTop = 0;
    return undefined;
  }

  // Choosing, folding, searching.

  function reveal(at) {
    for (let above = rows[at].parent; above >= 0; above = rows[above].parent) folded.delete(above);
    list();
  }
  function scrollTo(at) {
    const box = $("rows"), top = place.get(at) * HEIGHT;
    if (top < box.scrollTop) box.scrollTop = top - HEIGHT;
    else if (top + 2 * HEIGHT > box.scrollTop + box.clientHeight) box.scrollTop = top - box.clientHeight / 2;
  }
  function pick(at, link = true) {
    if (at === undefined || at < 0 || at >= rows.length) return;
    if (!place.has(at)) reveal(at);
    picked = at;
    scrollTo(at);
    draw();
    inspect();
    if (link) { try { history.replaceState(null, "", `#${encodeURIComponent(rows[at].id)}`); } catch { /* a sandboxed page has no history */ } }
  }
  function fold(at, shut = !folded.has(at)) {
    if (!rows[at].children.length) return;
    if (shut) folded.add(at); else folded.delete(at);
    list(); draw();
  }
  function next(isWanted) {
    const from = picked + 1;
    for (let i = 0; i < rows.length; i++) {
      const at = (from + i) % rows.length;
      if (isWanted(rows[at])) return pick(at);
    }
    return undefined;
  }
  const nextFailure = () => next((row) => row.bad && !row.badBelow);
  // Down from a root to the failure that came last: of what failed itself before what only has a failure below it.
  function worst() {
    let row = roots.find((root) => root.bad) || roots.find((root) => root.badBelow);
    while (row && row.badBelow) {
      const below = row.children.map((at) => rows[at]), failed = below.filter((one) => one.bad);
      const among = failed.length ? failed : below.filter((one) => one.badBelow);
      row = among.reduce((last, one) => (one.end > last.end ? one : last));
    }
    return row || roots[0];
  }
  function search() {
    const wanted = $("find").value.trim().toLowerCase();
    const text = (row) => `${row.id}\n${row.fn}\n${stateOf(row)}\n${row.state}\n${row.more.error || ""}\n${Object.values(row.more.tags || {}).join("\n")}`.toLowerCase();
    found = wanted ? rows.filter((row) => text(row).includes(wanted)).map((row) => row.position) : [];
    foundAt = -1;
    $("found").textContent = wanted ? found.length.toLocaleString("en") : "";
    draw();
  }
  function nextFound(step) {
    if (!found.length) return;
    foundAt = (foundAt + step + found.length) % found.length;
    pick(found[foundAt]);
  }
  function zoom(factor, px = usable() / 2) {
    const at = view.from + (px / usable()) * (view.to - view.from);
    const length = Math.min(1, Math.max(1e-5, (view.to - view.from) * factor));
    const from = Math.min(1 - length, Math.max(0, at - (px / usable()) * length));
    view = { from, to: from + length };
    draw();
  }
  function pan(px) {
    const shift = (px / usable()) * (view.to - view.from), length = view.to - view.from;
    const from = Math.min(1 - length, Math.max(0, view.from + shift));
    view = { from, to: from + length };
    draw();
  }
  function setScale(chosen) {
    scale = scales[chosen]; view = { from: 0, to: 1 };
    for (const one of ["collapsed", "linear"]) $(one).setAttribute("aria-pressed", one === chosen);
    draw();
  }
  function byHash() {
    let id = location.hash.slice(1);
    try { id = decodeURIComponent(id); } catch { /* as it stands */ }
    if (positions.has(id)) pick(positions.get(id), false);
    return positions.has(id);
  }

  const ACTS = {
    ArrowDown: () => pick(visible[Math.min(visible.length - 1, (place.get(picked) ?? -1) + 1)]),
    ArrowUp: () => pick(visible[Math.max(0, (place.get(picked) ?? 1) - 1)]),
    ArrowRight: () => (folded.has(picked) ? fold(picked, false) : rows[picked]?.children.length && pick(rows[picked].children[0])),
    ArrowLeft: () => (rows[picked]?.children.length && !folded.has(picked) ? fold(picked, true) : pick(rows[picked]?.parent)),
    Home: () => pick(visible[0]),
    End: () => pick(visible[visible.length - 1]),
    PageDown: () => pick(visible[Math.min(visible.length - 1, (place.get(picked) || 0) + 15)]),
    PageUp: () => pick(visible[Math.max(0, (place.get(picked) || 0) - 15)]),
    Enter: () => $("inspector").focus(),
    " ": () => fold(picked),
    "*": () => { folded.clear(); list(); draw(); },
  };
  const ANYWHERE = {
    "/": () => { $("find").focus(); $("find").select(); },
    f: nextFailure,
    s: () => setScale(scale === scales.linear ? "collapsed" : "linear"),
    "+": () => zoom(0.6), "-": () => zoom(1 / 0.6), 0: () => { view = { from: 0, to: 1 }; draw(); },
    Escape: () => $("rows").focus(),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target === $("find");
    const inRows = event.target === $("rows") || event.target === document.body;
    const act = (inRows && ACTS[event.key]) || (!typing || event.key === "Escape" ? ANYWHERE[event.key] : undefined);
    if (act) { event.preventDefault(); act(); }
  });
  $("find").addEventListener("input", search);
  $("find").addEventListener("keydown", (event) => { if (event.key === "Enter") nextFound(event.shiftKey ? -1 : 1); });
  $("failure").addEventListener("click", nextFailure);
  $("collapsed").addEventListener("click", () => setScale("collapsed"));
  $("linear").addEventListener("click", () => setScale("linear"));
  $("in").addEventListener("click", () => zoom(0.6));
  $("out").addEventListener("click", () => zoom(1 / 0.6));
  $("fit").addEventListener("click", () => { view = { from: 0, to: 1 }; draw(); });
  $("unfold").addEventListener("click", () => { folded.clear(); list(); draw(); });
  $("fold").addEventListener("click", () => { foldAll(true); list(); if (picked >= 0 && !place.has(picked)) picked = roots[0].position; draw(); inspect(); });
  $("shown").addEventListener("click", (event) => {
    const button = event.target.closest("[data-fold]"), row = event.target.closest(".row");
    if (button) fold(Number(button.dataset.fold)); else if (row) pick(Number(row.dataset.at));
  });
  $("shown").addEventListener("dblclick", (event) => { const row = event.target.closest(".row"); if (row) fold(Number(row.dataset.at)); });
  $("rows").addEventListener("wheel", (event) => {
    const name = $("axis").firstElementChild.getBoundingClientRect().width;
    if (event.ctrlKey) { event.preventDefault(); zoom(event.deltaY > 0 ? 1.25 : 0.8, event.clientX - name); }
    else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) { event.preventDefault(); pan(event.deltaX || event.deltaY); }
  }, { passive: false });
  let asked = false;
  const soon = () => { if (!asked) { asked = true; requestAnimationFrame(() => { asked = false; draw(); }); } };
  $("rows").addEventListener("scroll", soon);
  window.addEventListener("resize", soon);
  window.addEventListener("hashchange", byHash);
  window.addEventListener("beforeprint", () => draw(true));
  window.addEventListener("afterprint", () => draw());

  // The beginning.

  document.title = `${data.title} – timeline`;
  $("title").textContent = data.title;
  const states = new Map();
  for (const row of rows) states.set(stateOf(row), (states.get(stateOf(row)) || 0) + 1);
  const failures = rows.filter((row) => row.bad).length;
  $("summary").textContent = [
    `${rows.length.toLocaleString("en")} ${rows.length === 1 ? "promise" : "promises"}`, span(total), `from ${clock(0)}`,
    [...states].map(([state, count]) => `${count.toLocaleString("en")} ${state}`).join(", "),
    data.left ? `${data.left.toLocaleString("en")} functions below were not read` : "",
    data.exact ? "" : "as the table knows it",
  ].filter(Boolean).join("  ·  ");
  $("failure").hidden = !failures;
  const used = new Set(rows.flatMap((row) => row.segments.map((one) => one.part)));
  for (const part of data.parts.filter((one) => used.has(one))) {
    const item = make("li"), bar = make("span", "bar"), inner = make("span", `part ${part}`);
    inner.style.cssText = "left:0;width:26px" + (["suspended", "outside"].includes(part) ? ";top:5px" : ";top:0");
    bar.append(inner); item.append(bar, document.createTextNode(KEYS[part])); $("legend").append(item);
  }
  const signs = new Set(rows.flatMap((row) => row.marks.map((mark) => mark.sign)));
  for (const sign of signs) $("legend").append(make("li", "", `${SIGNS[sign]} ${sign}`));
  if (rows.length > FEW) foldAll(true);
  list();
  draw();
  if (!byHash()) {
    pick(roots.length ? worst().position : -1, false);
  }
  inspect();
  document.documentElement.dataset.ready = "yes";
})();
