//! The explainer's page and API over HTTP.
