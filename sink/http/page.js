"use strict";
// Everything that comes from the sink goes into the page as text, never as markup.

const EVERY = 2000; // milliseconds
const STAGES = ["prepare", "wait", "write", "commit"];
const number = new Intl.NumberFormat("en");

function element(tag, name, ...inside) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  made.append(...inside);
  return made;
}

function shape(tag, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function count(value) {
  if (value === null || value === undefined) return "–";
  if (value >= 1e6) return `${(value / 1e6).toFixed(value >= 1e7 ? 1 : 2)} M`;
  return number.format(value < 10 ? Math.round(value * 10) / 10 : Math.round(value));
}

function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 1) return `${seconds && seconds < 0.01 ? (seconds * 1000).toFixed(1) : Math.round(seconds * 1000)} ms`;
  if (seconds < 120) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${number.format(Math.round(seconds / 86400))} days`;
}

function clock(time) {
  return time === null ? "–" : new Date(time).toLocaleTimeString();
}

function bytes(size) {
  return size < 1024 * 1024 ? `${Math.round(size / 1024)} KiB` : `${(size / 1024 / 1024).toFixed(1)} MiB`;
}

// A curve of the history, from 0 to its greatest value; what nobody knows leaves a gap.
function plot(svg, values, what, show) {
  const known = values.filter((value) => value !== null);
  const most = Math.max(...known, 0);
  svg.setAttribute("aria-label", known.length ? `${what}, last five minutes: now ${show(known.at(-1))}, at most ${show(most)}` : `${what}: nothing yet`);
  const x = (index) => 100 - (values.length - 1 - index) * (100 / 59);
  const y = (value) => (most > 0 ? 29 - (value / most) * 27 : 29);
  const runs = [];
  values.forEach((value, index) => {
    if (value === null) return;
    if (index === 0 || values[index - 1] === null) runs.push([]);
    runs.at(-1).push([x(index), y(value)]);
  });
  const line = (run) => run.map(([left, top]) => `${left.toFixed(2)} ${top.toFixed(2)}`).join("L");
  // a moment alone would be a point, which has no length to be drawn along
  const wide = runs.map((run) => (run.length > 1 ? run : [[run[0][0] - 0.8, run[0][1]], run[0]]));
  svg.replaceChildren(
    shape("path", { class: "base", d: "M0 29.5H100" }),
    shape("path", { class: "area", d: wide.map((run) => `M${run[0][0].toFixed(2)} 29L${line(run)}L${run.at(-1)[0].toFixed(2)} 29Z`).join("") }),
    shape("path", { class: "curve", d: wide.map((run) => `M${line(run)}`).join("") }),
  );
  return most;
}

function tile(kind, title) {
  const value = element("p", "value"), more = element("p", "more");
  const svg = shape("svg", { class: "plot", viewBox: "0 0 100 30", preserveAspectRatio: "none", role: "img" });
  return { root: element("div", `tile ${kind}`, element("h3", "", title), value, more, svg), value, more, svg };
}

function table(caption, columns) {
  const heads = columns.map(([name, align]) => {
    const head = element("th", align, name);
    head.scope = "col";
    return head;
  });
  const body = element("tbody");
  const whole = element("table", "", element("thead", "", element("tr", "", ...heads)), body);
  const scroll = element("div", "scroll", whole);
  scroll.tabIndex = 0;
  scroll.setAttribute("role", "region");
  scroll.setAttribute("aria-label", caption);
  return { root: element("section", "", element("h3", "", caption), scroll), body };
}

// Rows are kept and changed in place, so that what somebody has selected or focused stays.
function fill(body, rows) {
  while (body.rows.length > rows.length) body.deleteRow(-1);
  rows.forEach((cells, index) => {
    const row = body.rows[index] || body.insertRow();
    cells.forEach(([text, name], place) => {
      let cell = row.cells[place];
      if (!cell) {
        cell = element(place ? "td" : "th", "");
        if (!place) cell.scope = "row";
        row.append(cell);
      }
      cell.className = name || "";
      say(cell, text);
    });
  });
}

class Card {
  constructor(dataset) {
    this.badge = element("span", "badge");
    this.names = element("p", "names");
    this.reasons = element("ul", "reasons");
    this.rate = tile("rate", "Rate");
    this.lag = tile("lag", "Lag");
    this.fresh = tile("fresh", "Freshness");
    this.bar = shape("svg", { class: "bar", viewBox: "0 0 100 1", preserveAspectRatio: "none", role: "img" });
    this.legend = element("ul", "legend");
    this.times = element("section", "", element("h3", "", "Where a batch's time goes"), this.bar, this.legend);
    this.facts = element("dl", "facts");
    this.partitions = table("Partitions", [["partition", "left"], ["state", "left"], ["position", ""], ["commit", ""], ["log end", ""], ["lag", ""], ["behind", ""]]);
    this.quarantined = table("Quarantined since the start", [["reason", "left"], ["messages", ""], ["last", ""]]);
    this.clean = element("p", "none", "Nothing quarantined since the start.");
    const title = element("h2", "", dataset);
    title.id = `dataset-${dataset}`;
    this.root = element(
      "article", "",
      element("div", "head", title, this.badge), this.names, this.reasons,
      element("div", "tiles", this.rate.root, this.lag.root, this.fresh.root),
      this.times, this.facts, this.partitions.root, this.quarantined.root, this.clean,
    );
    this.root.setAttribute("aria-labelledby", title.id);
  }

  show(told) {
    say(this.badge, told.halted ? "halted" : told.ready ? (told.phase === "ended" ? "done" : "ready") : told.phase === "running" ? "not ready" : told.phase);
    this.badge.className = `badge ${told.halted ? "bad" : told.ready ? "good" : ""}`;
    say(this.names, `${told.topic} · group ${told.group}`);
    const reasons = told.reasons.map((reason) => reason.message);
    if (told.breaker && told.breaker.why && !told.halted) reasons.push(told.breaker.why);
    this.reasons.replaceChildren(...[...new Set(reasons)].map((reason) => element("li", "", reason)));
    this.showTiles(told);
    this.showTimes(told.flushes);
    this.showFacts(told);
    fill(this.partitions.body, told.partitions.map((one) => [
      [String(one.partition), "left"], [one.state, "left"], [count(one.position)], [count(one.commit)], [count(one.log_end)],
      [count(one.lag_messages)], [one.lag_messages ? duration(one.lag_seconds) : ""],
    ]));
    this.partitions.root.hidden = told.partitions.length === 0;
    fill(this.quarantined.body, told.quarantined.map((one) => [[one.reason, "left"], [count(one.messages)], [clock(one.last_at)]]));
    this.quarantined.root.hidden = told.quarantined.length === 0;
    this.clean.hidden = told.quarantined.length > 0;
  }

  showTiles(told) {
    const past = (name) => told.history.map((moment) => moment[name]);
    const head = (one, text, unit) => {
      const small = element("small", "", unit);
      if (one.value.textContent !== `${text} ${unit}`) one.value.replaceChildren(`${text} `, small);
    };
    head(this.rate, count(told.rate), "msg/s");
    const fastest = plot(this.rate.svg, past("rate"), "Messages a second", count);
    say(this.rate.more, `at most ${count(fastest)}`);
    head(this.lag, count(told.lag_messages), "msg");
    plot(this.lag.svg, past("lag_messages"), "Lag in messages", count);
    say(this.lag.more, told.lag_messages ? `oldest ${duration(told.lag_seconds)}` : "caught up");
    head(this.fresh, duration(told.freshness_seconds), "");
    const stalest = plot(this.fresh.svg, past("freshness_seconds"), "Freshness", duration);
    say(this.fresh.more, told.freshness_seconds === null ? "event to durable" : `at most ${duration(stalest)}`);
  }

  showTimes(flushes) {
    this.times.hidden = flushes.length === 0;
    if (!flushes.length) return;
    const mean = STAGES.map((stage) => flushes.reduce((sum, one) => sum + one[stage], 0) / flushes.length);
    const whole = mean.reduce((sum, one) => sum + one, 0) || 1;
    let left = 0;
    this.bar.replaceChildren(...mean.map((one, index) => {
      const width = (one / whole) * 100;
      const part = shape("rect", { class: STAGES[index], x: left, y: 0, width, height: 1 });
      left += width;
      return part;
    }));
    const words = mean.map((one, index) => `${STAGES[index]} ${duration(one)}`);
    this.bar.setAttribute("aria-label", `Mean of the last ${flushes.length} flushes: ${words.join(", ")}`);
    this.legend.replaceChildren(...words.map((text, index) => element("li", "", element("i", STAGES[index]), text)));
  }

  showFacts(told) {
    const up = Object.entries(told.connected).filter(([, state]) => state !== null);
    const facts = [
      ["messages", count(told.messages)],
      ["rows", `${count(told.rows_written)} written, ${count(told.rows_not_newer)} not newer, ${count(told.rows_deduplicated)} deduplicated`],
      ["newest event", told.newest_event_at === null ? "–" : new Date(told.newest_event_at).toLocaleString()],
      ["last flush", clock(told.last_flush_at)],
      ["services", up.map(([name, state]) => `${name} ${state ? "✓" : "✗"}`).join("  ") || "–"],
      ["held", `${bytes(told.held_bytes)}${told.paused ? ", paused" : ""}`],
    ];
    if (told.breaker) facts.push(["bad share", `${(told.breaker.share * 100).toFixed(1)} % of ${(told.breaker.limit * 100).toFixed(0)} %`]);
    if (told.late) facts.push(["late rows", count(told.late)]);
    if (told.ignored) facts.push(["ignored", count(told.ignored)]);
    if (told.unknown_field_values) facts.push(["unknown field values", count(told.unknown_field_values)]);
    this.facts.replaceChildren(...facts.map(([name, text]) => element("div", "", element("dt", "", name), element("dd", "", text))));
  }
}

const cards = new Map();
const found = (id) => document.getElementById(id);

function show(told) {
  say(found("process"), `${told.version} · ${told.owner} · since ${new Date(told.started_at).toLocaleString()}`);
  const halted = told.datasets.filter((one) => one.halted).length;
  say(found("overall"), halted ? `${halted} halted` : told.ready ? "ready" : "not ready");
  found("overall").className = `badge ${halted ? "bad" : told.ready ? "good" : ""}`;
  document.title = `${halted ? "✗" : told.ready ? "✓" : "…"} sink ${told.owner}`;
  for (const one of told.datasets) {
    if (!cards.has(one.dataset)) {
      cards.set(one.dataset, new Card(one.dataset));
      found("datasets").append(cards.get(one.dataset).root);
    }
    cards.get(one.dataset).show(one);
  }
}

async function refresh() {
  if (!document.hidden) {
    let trouble = "";
    try {
      const answer = await fetch("status", { cache: "no-store", signal: AbortSignal.timeout(5000) });
      if (!answer.ok) throw new Error(`it answers ${answer.status}`);
      show(await answer.json());
    } catch (error) {
      trouble = `The sink does not answer; what you see is old. (${error.message})`;
    }
    say(found("trouble"), trouble);
    found("trouble").hidden = !trouble;
    document.body.classList.toggle("stale", Boolean(trouble));
  }
  setTimeout(refresh, EVERY);
}

refresh();
