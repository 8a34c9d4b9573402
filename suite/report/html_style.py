"""The page's style sheet and its one script (sorts tables, by keys too), in code so that wheels carry it."""

CSS = """
:root{--paper:#fcfcfa;--card:#fff;--ink:#22262b;--quiet:#667080;--line:#e4e4de;--accent:#0b5c8f;
--loud:#b4430e;
--loudbg:#fdf0e6;--notebg:#f4f4ef;color-scheme:light dark}
@media(prefers-color-scheme:dark){:root{--paper:#15181c;--card:#1c2025;--ink:#dfe2e6;
--quiet:#949ca8;--line:#2d3239;
--accent:#7cc0ee;--loud:#f0a070;--loudbg:#33241a;--notebg:#1f2328}
figure img{filter:invert(1) hue-rotate(180deg);mix-blend-mode:screen}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,
"Segoe UI",Roboto,
"Helvetica Neue",Arial,"Liberation Sans",sans-serif;-webkit-text-size-adjust:100%}
main{max-width:86rem;margin:0 auto;padding:3.5rem 1.5rem 4rem}
h1,h2,.big{font-family:Charter,"Bitstream Charter","Iowan Old Style","Palatino Linotype",Palatino,
Georgia,
"Liberation Serif",serif;font-weight:600;letter-spacing:-.01em;text-wrap:balance}
h1{font-size:2.3rem;line-height:1.15;margin:.2rem 0 .6rem}
h2{font-size:1.6rem;line-height:1.2;margin:0 0 .7rem}
section{border-top:1px solid var(--line);margin-top:2.6rem;padding-top:2.2rem}
.brand,.label{font-size:.78rem;font-weight:600;letter-spacing:.08em;text-transform:uppercase;
color:var(--quiet)}
.brand{margin:0;color:var(--accent)}
.label{margin:2.6rem 0 .7rem}
.sub,.caption,figcaption,footer,.range{color:var(--quiet)}
.sub{margin:0}
.caption,figcaption{font-size:.86rem;max-width:46rem;margin:.6rem 0 0}
nav{margin-top:1rem;display:flex;flex-wrap:wrap;gap:.3rem 1.4rem}
a{color:var(--accent);text-underline-offset:.2em}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
th:focus-visible{outline-offset:-2px}
code{font-size:.92em}
.badges{display:flex;flex-wrap:wrap;gap:.4rem;margin:0}
.badge{font-size:.82rem;padding:.1rem .6rem;border:1px solid var(--line);border-radius:1rem;
color:var(--quiet);
background:var(--card);max-width:100%;overflow-wrap:anywhere}
.badge.loud{color:var(--loud);background:var(--loudbg);border-color:var(--loud);font-weight:600}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(21rem,100%),1fr));gap:1rem;
margin-top:1.6rem}
.card{max-width:36rem}
.card{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:1.1rem 1.3rem
1.2rem}
.card h4{margin:0;font-size:.95rem;font-weight:600}
.big{display:flex;align-items:baseline;gap:.4rem;font-size:2.5rem;line-height:1.1;
margin:.5rem 0 .1rem;color:var(--accent);
font-variant-numeric:lining-nums}
.worse{font-size:.84rem;margin:.1rem 0 0;color:var(--loud);font-weight:600}
.big span{font:500 1rem/1.25 system-ui,-apple-system,"Segoe UI",Roboto,Arial,sans-serif;letter-spacing:0;
color:var(--ink)}
.range{font-size:.84rem;margin:0}
.card dl{grid-template-columns:fit-content(10rem) minmax(0,1fr);
margin:.9rem 0 0;padding:.8rem 0 0;border-top:1px solid var(--line);font-size:.9rem;
gap:.2rem 1.2rem}
.card dd{font-variant-numeric:tabular-nums}
.card small{color:var(--quiet);margin-left:.4rem;font-size:.93em}
.scroll{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:.6rem}
table{border-collapse:collapse;width:100%;font-size:.84rem;font-variant-numeric:tabular-nums}
th,td{padding:.5rem .45rem;text-align:right;vertical-align:top}
thead th{font-weight:500;color:var(--quiet);font-size:.78rem;line-height:1.3;vertical-align:bottom;
border-bottom:1px solid var(--line)}
thead th:first-child,tbody th,td.l{text-align:left}
.runs thead th:nth-child(3){text-align:left}
tbody th{font-weight:600;white-space:nowrap;position:sticky;left:0;background:var(--card);
background-clip:padding-box}
thead th small{display:block;font-size:.92em;white-space:nowrap}
td.l{white-space:nowrap}
th:first-child,td:first-child{padding-left:.9rem}
th:last-child,td:last-child{padding-right:.9rem}
tbody tr+tr:not(.more) th,tbody tr+tr:not(.more) td,tbody+tbody tr:not(.more) td{border-top:1px
solid var(--line)}
td small{display:block;color:var(--quiet);font-size:.92em;white-space:nowrap}
td .paired{color:var(--ink)}
td .paired.quiet{color:var(--quiet)}
.sortable thead th{cursor:pointer;user-select:none}
.sortable thead th[aria-sort]::after{content:" \\2191";color:var(--accent)}
.sortable thead th[aria-sort=descending]::after{content:" \\2193"}
.bad{color:var(--loud)}
.more td{padding:0 .7rem .45rem;text-align:left}
summary{cursor:pointer;color:var(--quiet);font-size:.8rem;width:max-content}
.blocks{columns:15rem 3;column-gap:2rem;padding:.6rem 0 .8rem}
.blocks>div{break-inside:avoid;padding-bottom:1rem}
h5{margin:0 0 .3rem;font-size:.82rem;font-weight:600}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem .9rem;margin:0;font-size:.82rem}
dt{color:var(--quiet)}dd{margin:0;overflow-wrap:anywhere}
.tests{margin:1rem 0 0;padding-left:1.1rem;font-size:.9rem;max-width:52rem}
aside{margin:1.2rem 0 0;padding:.8rem 1.1rem;border-radius:.5rem;background:var(--notebg);
font-size:.9rem}
aside.warn{background:var(--loudbg);border-left:4px solid var(--loud)}
aside ul{margin:.2rem 0 0;padding-left:1.1rem}
aside li{overflow-wrap:anywhere}
figure{margin:0}
.frame{overflow-x:auto;background:var(--card);
border:1px solid var(--line);border-radius:.6rem;padding:.7rem .8rem
.3rem}
figure img{display:block;width:100%;min-width:40rem;max-width:75rem;height:auto}
.reading{margin-top:1.4rem;font-size:.9rem}.reading dl{padding:.6rem 0 0;font-size:.86rem;max-width:60rem}
.links{margin:.4rem 0 0;display:flex;gap:1.2rem}
pre{overflow-x:auto;background:var(--notebg);
border-radius:.5rem;padding:.7rem 1rem;font-size:.82rem;margin:0 0 .8rem}
.blocks.wide{columns:26rem 2}
footer{border-top:1px solid var(--line);margin-top:3.5rem;padding-top:1.2rem;font-size:.84rem}
@media(max-width:40rem){main{padding:2rem 1rem}h1{font-size:1.8rem}}
@media print{main{max-width:none;padding:0}figure,.card,tbody{break-inside:avoid}}
"""

SCRIPT = """
document.querySelectorAll("table.sortable").forEach(table => {
  const heads = [...table.tHead.rows[0].cells];
  const key = (row, i) => {
    const cell = row.cells[i], v = cell.dataset.v ?? cell.textContent.trim();
    return v === "" || isNaN(v) ? v : Number(v); };
  heads.forEach((head, i) => {
  head.tabIndex = 0;
  head.addEventListener("keydown", event => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    head.click();
  });
  head.addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    heads.forEach(h => h.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const bodies = [...table.tBodies];
    const units = bodies.length > 1 ? bodies : [...bodies[0].rows];
    const row = unit => unit.rows ? unit.rows[0] : unit;
    units.sort((a, b) => { const x = key(row(a), i), y = key(row(b), i);
      const xn = typeof x === "number", yn = typeof y === "number";
      const order = xn && yn ? x - y : xn ? -1 : yn ? 1 : String(x).localeCompare(String(y));
      return down ? -order : order; });
    const parent = bodies.length > 1 ? table : bodies[0];
    units.forEach(unit => parent.appendChild(unit));
  });
  });
});
"""
