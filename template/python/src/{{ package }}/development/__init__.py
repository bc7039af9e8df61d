"""Development tools, never imported in production: private servers, sample data, revisions."""
