"""`ablation.svg`: the ranked finalists as a picture that stands by itself, for a README."""

from __future__ import annotations

from capitoline.pipelines.ablation.findings import Findings
from capitoline.pipelines.ablation.on_test import ranked_picture
from capitoline.pipelines.report.markup import Markup

STYLE = (
    "<style>svg{background:#fff} text{fill:#1d2126;font:13px system-ui,'Segoe UI','Noto Sans',sans-serif} "
    "text.number{font-size:12.5px} text.axis{fill:#626a73;font-size:12px} .grid{stroke:#dfe2e0} "
    ".zero{stroke:#626a73;stroke-dasharray:3 3}</style>"
)
"""What the page's style sheet says of plots, on white paper."""


def picture(findings: Findings) -> str:
    drawn = ranked_picture(findings)
    return Markup(
        drawn.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1).replace("<desc>", f"{STYLE}<desc>", 1)
    )
