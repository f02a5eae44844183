# SPDX-License-Identifier: Apache-2.0
"""The report's page: style, script and frame, all of it inside the one file."""

from __future__ import annotations

from html import escape

STYLE = """
:root{--ink:#16202b;--soft:#51606f;--faint:#8794a1;--rule:#e3e8ed;--paper:#fff;--wash:#f6f8fa;
--blue:#1f5fa8;--blue-soft:#dbe8f6;--amber:#b25e00;--amber-soft:#fdf1dd;--red:#b3261e;--red-soft:#fbe4e1;
--green:#1c7a4a;--violet:#7a3e9d;--brown:#8a6d3b}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-behavior:smooth}
body{margin:0;background:var(--paper);color:var(--ink);line-height:1.5;
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;
font-variant-numeric:tabular-nums}
main{max-width:1120px;margin:0 auto;padding:40px 24px 72px}
h1{font-size:30px;line-height:1.2;letter-spacing:-.015em;margin:0 0 6px;font-weight:680}
h2{font-size:20px;line-height:1.3;letter-spacing:-.01em;margin:52px 0 4px;font-weight:650}
h3{font-size:15px;margin:0 0 2px;font-weight:620}
p{margin:0 0 12px;max-width:72ch}
.lead{color:var(--soft);margin-bottom:20px}
.why{color:var(--soft);font-size:15px}
a{color:var(--blue);text-decoration:none}a:hover{text-decoration:underline}
code,.mono{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.88em}
.verdict{display:flex;gap:10px;align-items:baseline;padding:12px 16px;border-radius:8px;background:var(--wash);
border-left:4px solid var(--green);margin:0 0 22px}
.verdict.bad{border-color:var(--red);background:var(--red-soft)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(184px,1fr));padding:1px 0 0 1px;margin:0 0 8px}
.tile{border:1px solid var(--rule);margin:-1px 0 0 -1px;padding:14px 16px}
.tile dt{font-size:13px;color:var(--soft)}.tile dd{margin:2px 0 0;font-size:23px;font-weight:640;letter-spacing:-.01em}
.tile small{display:block;font-size:13px;color:var(--soft);font-weight:400;letter-spacing:0}
figure{margin:14px 0 0;break-inside:avoid}
.plot{position:relative}
svg{display:block;width:100%;height:auto;overflow:visible}
svg text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,Arial,sans-serif;fill:var(--soft)}
svg .note{fill:var(--ink);font-weight:600;paint-order:stroke;stroke:#fff;stroke-width:3px;stroke-linejoin:round}
.narrow{display:none}
.grid{stroke:var(--rule);stroke-width:1}.axis{stroke:#b9c3cc;stroke-width:1}
.series{stroke:var(--blue);stroke-width:2;stroke-linejoin:round}
.peak{stroke:var(--faint);stroke-width:1.5}
.fate-rescued{stroke:var(--violet);stroke-width:2;stroke-linejoin:round}
.fate-control{stroke:var(--red);stroke-width:2;stroke-linejoin:round}
.trip-reduce{stroke:var(--amber);stroke-width:1.5;stroke-dasharray:6 4}
.trip-halt{stroke:var(--red);stroke-width:1.5;stroke-dasharray:2 3}
.fill{fill:var(--blue-soft)}.band{fill:var(--blue-soft);opacity:.75}
.bound{stroke:#8fb3da;stroke-width:1;stroke-dasharray:3 3}
.reduced{fill:var(--amber-soft);opacity:.85}.halted{fill:var(--red-soft)}
.rug{stroke:var(--ink);stroke-width:1;opacity:.55}
.mark-breaker{fill:var(--paper);stroke:var(--amber);stroke-width:2.5}
.mark-redeem{fill:var(--violet)}.mark-deposit{fill:var(--green)}
.mark-settled{fill:var(--blue);stroke:var(--paper);stroke-width:1}
.mark-outside{fill:var(--paper);stroke:var(--red);stroke-width:1.6}
.mark-attack{fill:var(--red)}
.bar-market{fill:var(--blue)}.bar-gas{fill:#c3a56b}
.diagonal{stroke:#b9c3cc;stroke-width:1.5;stroke-dasharray:5 4}
.dot{fill:var(--blue);fill-opacity:.75;stroke:var(--paper)}.dot-attacked{fill:var(--paper);stroke:var(--red);stroke-width:2}
a:focus-visible,summary:focus-visible{outline:2px solid var(--blue);outline-offset:2px}
.cross{stroke:var(--soft);stroke-width:1;pointer-events:none;visibility:hidden}
.tip{position:absolute;pointer-events:none;visibility:hidden;background:var(--ink);color:#fff;font-size:13px;line-height:1.45;
padding:7px 10px;border-radius:6px;white-space:nowrap;z-index:2}
.key{display:flex;flex-wrap:wrap;gap:4px 18px;margin:8px 0 0;padding:0;list-style:none;font-size:13.5px;
color:var(--soft)}
.key svg{display:inline-block;width:22px;height:12px;vertical-align:-1px;margin-right:6px}
.panels{display:grid;grid-template-columns:repeat(auto-fill,minmax(310px,1fr));gap:20px 26px;margin-top:14px}
.panels figure{margin:0}
.two{display:grid;grid-template-columns:minmax(0,3fr) minmax(0,2fr);gap:0 36px}
.table{overflow-x:auto;margin-top:14px;border:1px solid var(--rule);border-radius:10px}
table{border-collapse:collapse;width:100%;font-size:14px}
th,td{padding:7px 12px;text-align:right;white-space:nowrap;border-bottom:1px solid var(--rule)}
tbody tr:last-child td{border-bottom:0}
th{font-weight:600;color:var(--soft);background:var(--wash);font-size:13px}
th.l,td.l{text-align:left}tbody tr:target,details:target{background:#fffbe8}
.tag{display:inline-block;padding:0 7px;border-radius:9px;font-size:12.5px;background:var(--wash);color:var(--soft)}
.tag.ok{background:#e3f3ea;color:#12603a}.tag.warn{background:var(--amber-soft);color:#7c4200}.tag.bad{background:var(--red-soft);color:#8f1d17}
details{border:1px solid var(--rule);border-radius:10px;margin-top:10px;padding:0 14px}
summary{cursor:pointer;padding:10px 0;font-weight:560}
details .table{margin:0 0 14px}details p{font-size:14px}
footer{margin-top:56px;padding-top:16px;border-top:1px solid var(--rule);font-size:14px;color:var(--soft)}
footer li{margin-bottom:4px}
@media (max-width:720px){main{padding:24px 16px 48px}h1{font-size:25px}.wide{display:none}.narrow{display:block}
.two{grid-template-columns:1fr}.tile dd{font-size:20px}.tiles{grid-template-columns:repeat(2,1fr)}}
@media print{body{font-size:11pt}main{max-width:none;padding:0}h2{break-after:avoid}.table{overflow:visible;border:0}
table{font-size:8.5pt}th,td{padding:3px 5px}a{color:inherit}.tip,.cross{display:none}tr{break-inside:avoid}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}
"""

SCRIPT = """
(()=>{const all=JSON.parse(document.getElementById("rows").textContent);
for(const plot of document.querySelectorAll(".plot[data-rows]")){
 const rows=all.shared.map((head,i)=>[head,all[plot.dataset.rows][i]]);
 const tip=document.createElement("div");tip.className="tip";plot.append(tip);
 for(const svg of plot.querySelectorAll("svg[data-scale]")){
  const[low,high,start,stop,top,base]=svg.dataset.scale.split(",").map(Number);
  const cross=document.createElementNS("http://www.w3.org/2000/svg","line");
  cross.setAttribute("class","cross");cross.setAttribute("y1",top);cross.setAttribute("y2",base);svg.append(cross);
  const hide=()=>{tip.style.visibility=cross.style.visibility="hidden"};
  svg.addEventListener("pointerleave",hide);
  svg.addEventListener("pointermove",e=>{const box=svg.getBoundingClientRect(),unit=box.width/svg.viewBox.baseVal.width;
   const day=low+(high-low)*((e.clientX-box.left)/unit-start)/(stop-start);
   if(day<low-1||day>high+1)return hide();
   let a=0,b=rows.length-1;while(a<b){const m=(a+b)>>1;rows[m][0][0]<day?a=m+1:b=m}
   if(a>0&&day-rows[a-1][0][0]<rows[a][0][0]-day)a--;
   const x=start+(stop-start)*(rows[a][0][0]-low)/(high-low);
   cross.setAttribute("x1",x);cross.setAttribute("x2",x);
   tip.textContent="";for(const part of[rows[a][0][1]].concat(rows[a][1])){
    const div=document.createElement("div");div.textContent=part;tip.append(div)}
   const w=tip.offsetWidth,px=x*unit;tip.style.left=(px+w+18>box.width?px-w-12:px+12)+"px";
   tip.style.top=Math.max(0,top*unit)+"px";tip.style.visibility=cross.style.visibility="visible"})}}
const open=()=>{const at=document.getElementById(location.hash.slice(1));if(at&&at.tagName==="DETAILS")at.open=true};
addEventListener("hashchange",open);open()})();
"""


def page(title: str, body: str, rows: str) -> str:
    """Return the whole document.

    Parameters
    ----------
    body
        HTML of the main column.
    rows
        JSON for the script: what stands at each tick, by chart.
    """
    # A closing tag inside the data would end the script element.
    safe_rows = rows.replace("</", r"<\/")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n"
        f'<script type="application/json" id="rows">{safe_rows}</script>\n'
        f"<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )
