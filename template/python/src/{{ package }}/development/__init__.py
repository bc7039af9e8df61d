"""Tools for development: private servers, sample data, new revisions. Production never imports them."""
