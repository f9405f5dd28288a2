-- Runs that are over. The outline is the stored result without its samples, as JSON:
-- what lists and comparisons read. Its bytes are kept as they are.
create table gameday_run (
    name     text        primary key,
    scenario text        not null,
    began    timestamptz not null,
    standing text        not null,
    outline  bytea       not null,
    kept     timestamptz not null default now()
);

create index gameday_run_began on gameday_run (began desc, name desc);
create index gameday_run_scenario on gameday_run (scenario, began desc);

-- The files of a run's directory. packed tells that the content is gzip.
create table gameday_file (
    run     text    not null references gameday_run (name) on delete cascade,
    name    text    not null,
    packed  boolean not null,
    content bytea   not null,
    primary key (run, name)
);
