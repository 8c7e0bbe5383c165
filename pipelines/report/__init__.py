"""What a finished job shows: `summary.json` and `report.html`, made from the committed parts."""
