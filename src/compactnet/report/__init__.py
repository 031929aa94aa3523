"""The paper's values next to ours: tables, figures and one page, made from records and counts."""
