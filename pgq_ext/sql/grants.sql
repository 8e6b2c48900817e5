-- Who may use what. Runs last.
grant usage on schema pgq_ext to public;
