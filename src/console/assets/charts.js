// Draws the last hour of an organization by uPlot, and follows it. The table on the page says the same without.
"use strict";

(() => {
  const place = document.getElementById("charts");
  const live = document.getElementById("charts-live");
  if (!place) return;
  if (typeof uPlot === "undefined") {
    place.hidden = true;
    return;
  }
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const charts = [];

  // What is on the page: where, which columns of the samples, and how each is called and drawn.
  const drawn = [
    ["chart-requests", [1, 2, 3], [["Allowed", "--accent"], ["Denied", "--bad"], ["Failed", "--warn"]]],
    ["chart-latency", [4, 5], [["Half", "--accent"], ["99 %", "--warn"]]],
  ];

  // In UTC, as every other time of the console.
  const clock = (second) => new Date(second * 1000).toISOString().slice(11, 16);
  const shown = (value) => (value === null || value === undefined ? "–" : value.toFixed(1));

  // A value between two that are missing is no line: it is a point.
  function alone(chart, at) {
    const column = chart.data[at];
    const [first, last] = chart.series[at].idxs;
    const found = [];
    for (let one = first; one <= last; one += 1) {
      if (column[one] != null && column[one - 1] == null && column[one + 1] == null) found.push(one);
    }
    return found;
  }

  function draw(samples) {
    for (const chart of charts.splice(0)) chart.destroy();
    for (const [id, columns, names] of drawn) {
      const element = document.getElementById(id);
      const axis = { stroke: colour("--faint"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 } };
      const series = names.map(([label, name]) => ({ label, stroke: colour(name), width: 1.5, value: (_, value) => shown(value), spanGaps: false, points: { filter: alone, size: 5, fill: colour(name) } }));
      const options = {
        width: element.clientWidth,
        height: 180,
        tzDate: (second) => uPlot.tzDate(new Date(second * 1000), "Etc/UTC"),
        axes: [{ ...axis, values: (_, seconds) => seconds.map(clock) }, { ...axis, size: 54 }],
        scales: { y: { range: (_, least, most) => [0, Math.max((most || 0) * 1.1, 1)] } },
        series: [{ label: "UTC", value: (_, value) => (value === null ? "–" : clock(value)) }, ...series],
      };
      charts.push(new uPlot(options, [samples[0], ...columns.map((column) => samples[column])], element));
    }
  }

  let last;
  async function look() {
    // Nobody looks: nothing is asked, and a session may end unused.
    if (document.hidden) return;
    try {
      const answer = await fetch(place.dataset.samples, { headers: { accept: "application/json" } });
      if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
      last = await answer.json();
      if (charts.length === 0) {
        draw(last);
      } else {
        charts.forEach((chart, at) => chart.setData([last[0], ...drawn[at][1].map((column) => last[column])]));
      }
      live.textContent = "Live";
    } catch {
      live.textContent = "Waiting for the gateway…";
    }
  }

  look();
  setInterval(look, 10000);
  document.addEventListener("visibilitychange", look);
  const again = () => { if (last) draw(last); };
  window.addEventListener("resize", again);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
})();
