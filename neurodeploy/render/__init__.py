"""Results for people and for programs: tables, JSON, pages."""
