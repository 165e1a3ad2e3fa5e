"""The style sheet of a report: readable at any width, in light and in dark."""

CSS = """\
:root {
  color-scheme: light dark;
  --text: #1b1f24; --quiet: #57606a; --page: #ffffff; --line: #d0d7de;
  --stripe: #f6f8fa;
}
@media (prefers-color-scheme: dark) {
  :root {
    --text: #e6edf3; --quiet: #9da7b3; --page: #0d1117; --line: #30363d;
    --stripe: #161b22;
  }
}
body {
  margin: 0; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif;
}
main { max-width: 70rem; margin: 0 auto; padding: 1rem; }
h1, h2 { line-height: 1.2; overflow-wrap: anywhere; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
ul { padding-left: 1.2rem; overflow-wrap: anywhere; }
.note, figcaption { color: var(--quiet); font-size: 0.875rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.875rem; }
th, td { padding: 0.3rem 0.7rem; text-align: right; white-space: nowrap; }
thead th {
  border-bottom: 2px solid var(--line); white-space: normal; vertical-align: bottom;
}
tbody tr { border-bottom: 1px solid var(--line); }
tbody tr:hover { background: var(--stripe); }
th[scope="row"] { text-align: left; font-weight: 500; }
td { font-variant-numeric: tabular-nums; }
tr.faint { color: var(--quiet); }
tr.faint th { font-weight: 400; white-space: normal; min-width: 14rem; }
tr.section th { text-align: left; padding-top: 1.2rem; }
table.pairs td { text-align: left; white-space: normal; overflow-wrap: anywhere; }
summary { cursor: pointer; }
figure { margin: 1.5rem 0; }
img {
  display: block; max-width: 100%; height: auto; background: #ffffff;
  border: 1px solid var(--line); border-radius: 6px;
}
figcaption { margin-top: 0.4rem; }
"""
