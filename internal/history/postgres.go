package history

import (
	"bytes"
	"compress/gzip"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

//go:embed migrations/*.sql
var migrations embed.FS

const (
	// migrating is the key of the advisory lock under which one process at a time changes
	// the tables: "gameday" in ASCII.
	migrating = 0x67616d65646179
	// packedFrom is the size from which a file is compressed.
	packedFrom = 64 << 10
	// connecting bounds the wait for a server that does not answer.
	connecting = 10 * time.Second
	// mostConnections is what one command may open at a server that others use too.
	mostConnections = 4
)

// Postgres is the store of a team: a PostgreSQL database, version 12 or later.
type Postgres struct {
	pool  *pgxpool.Pool
	where string
}

// OpenPostgres connects to postgres://user:password@host/database and brings its tables
// up to date. What pgx takes from the environment (PGPASSWORD, PGSSLMODE, ~/.pgpass)
// counts too. Errors do not show the password.
func OpenPostgres(ctx context.Context, address string) (*Postgres, error) {
	where := shown(address)
	config, err := pgxpool.ParseConfig(address)
	if err != nil {
		// The error of the parser may quote the address.
		return nil, fmt.Errorf("open the store %s: the address cannot be read; write it as postgres://user@host:5432/database", where)
	}
	config.MaxConns = mostConnections
	config.ConnConfig.ConnectTimeout = connecting
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = "gameday"
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open the store %s: %w", where, err)
	}
	p := &Postgres{pool, where}
	if err := p.migrate(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("open the store %s: %w", where, err)
	}
	return p, nil
}

// shown is an address without user, password and options.
func shown(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return "at an address that cannot be read"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// migrate applies the changes of the tables that the database does not have yet, one
// process at a time, all or none.
func (p *Postgres) migrate(ctx context.Context) error {
	steps, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "select pg_advisory_xact_lock($1)", int64(migrating)); err != nil {
			return fmt.Errorf("wait for the turn to look at its tables: %w", err)
		}
		var there bool
		if err := tx.QueryRow(ctx, "select to_regclass('gameday_schema') is not null").Scan(&there); err != nil {
			return fmt.Errorf("look at its tables: %w", err)
		}
		have := 0
		if there {
			if err := tx.QueryRow(ctx, "select coalesce(max(version), 0) from gameday_schema").Scan(&have); err != nil {
				return fmt.Errorf("look at the version of its tables: %w", err)
			}
		} else if _, err := tx.Exec(ctx, "create table gameday_schema (version int primary key, applied timestamptz not null default now())"); err != nil {
			return fmt.Errorf("make its tables (the user needs the right to create tables in the schema, once): %w", err)
		}
		if have > len(steps) {
			return fmt.Errorf("its tables are of version %d, and this gameday knows %d: use a newer gameday", have, len(steps))
		}
		for version := have + 1; version <= len(steps); version++ {
			text, err := migrations.ReadFile(steps[version-1])
			if err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, string(text)); err != nil {
				return fmt.Errorf("bring its tables to version %d: %w", version, err)
			}
			if _, err := tx.Exec(ctx, "insert into gameday_schema (version) values ($1)", version); err != nil {
				return fmt.Errorf("note that its tables are of version %d: %w", version, err)
			}
		}
		return nil
	})
}

// Where implements [Store].
func (p *Postgres) Where() string { return p.where }

// Close implements [Store].
func (p *Postgres) Close() error {
	p.pool.Close()
	return nil
}

// Put implements [Store]. Either all of a run is there afterwards, or what was before.
func (p *Postgres) Put(ctx context.Context, run *Run) error {
	short, err := outlineText(run.Result)
	if err != nil {
		return err
	}
	e := entry(run.Result)
	err = pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
		const keep = `insert into gameday_run (name, scenario, began, standing, outline) values ($1, $2, $3, $4, $5)
			on conflict (name) do update set scenario = $2, began = $3, standing = $4, outline = $5, kept = now()`
		if _, err := tx.Exec(ctx, keep, e.Run, storable(e.Scenario), e.Began, e.Standing, short); err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(run.Files)) {
			if err := putFile(ctx, tx, e.Run, name, run.Files[name]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("keep run %s in %s: %w", e.Run, p.where, err)
	}
	return nil
}

// storable takes out what a text column cannot hold.
func storable(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}

func putFile(ctx context.Context, tx pgx.Tx, run, name string, text []byte) error {
	packed := len(text) >= packedFrom
	if packed {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		if _, err := w.Write(text); err != nil {
			return err
		}
		if err := w.Close(); err != nil {
			return err
		}
		text = b.Bytes()
	}
	_, err := tx.Exec(ctx, `insert into gameday_file (run, name, packed, content) values ($1, $2, $3, $4)
		on conflict (run, name) do update set packed = $3, content = $4`, run, name, packed, text)
	return err
}

// List implements [Store].
func (p *Postgres) List(ctx context.Context, q Query) ([]Entry, error) {
	text, args := "select outline from gameday_run where true", []any{}
	where := func(condition string, value any) {
		args = append(args, value)
		text += " and " + strings.ReplaceAll(condition, "$", "$"+strconv.Itoa(len(args)))
	}
	if !q.Since.IsZero() {
		where("began >= $", q.Since)
	}
	if !q.Until.IsZero() {
		where("began < $", q.Until)
	}
	if len(q.Standings) > 0 {
		where("standing = any($)", q.Standings)
	}
	exact := !strings.ContainsAny(q.Scenario, `*?[\`)
	if q.Scenario != "" && exact {
		where("scenario = $", storable(q.Scenario))
	}
	text += " order by began desc, name desc"
	if q.Limit > 0 && (q.Scenario == "" || exact) {
		text += " limit " + strconv.Itoa(q.Limit)
	}
	rows, err := p.pool.Query(ctx, text, args...)
	if err != nil {
		return nil, fmt.Errorf("list the runs of %s: %w", p.where, err)
	}
	defer rows.Close()
	var list []Entry
	for rows.Next() && (q.Limit == 0 || len(list) < q.Limit) {
		var short []byte
		if err := rows.Scan(&short); err != nil {
			return nil, fmt.Errorf("list the runs of %s: %w", p.where, err)
		}
		r, err := read(short, q.Brief)
		if err != nil {
			return nil, fmt.Errorf("read a run of %s: %w", p.where, err)
		}
		if e := entry(r); q.fits(e) {
			list = append(list, e)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list the runs of %s: %w", p.where, err)
	}
	return list, nil
}

// querier is a pool or a transaction.
type querier interface {
	QueryRow(ctx context.Context, text string, args ...any) pgx.Row
}

// File implements [Store].
func (p *Postgres) File(ctx context.Context, run, name string) ([]byte, error) {
	return p.file(ctx, p.pool, run, name, "")
}

func (p *Postgres) file(ctx context.Context, q querier, run, name, lock string) ([]byte, error) {
	var packed bool
	var text []byte
	err := q.QueryRow(ctx, "select packed, content from gameday_file where run = $1 and name = $2"+lock, storable(run), storable(name)).Scan(&packed, &text)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("%s of run %s: %w", name, run, ErrNotFound)
	}
	if err == nil && packed {
		var r *gzip.Reader
		if r, err = gzip.NewReader(bytes.NewReader(text)); err == nil {
			text, err = io.ReadAll(r)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read %s of run %s in %s: %w", name, run, p.where, err)
	}
	return text, nil
}

// Replace implements [Store].
func (p *Postgres) Replace(ctx context.Context, run, name string, was, now []byte) error {
	return pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
		// The run's row is the lock: a file that is not there yet has none.
		var found string
		err := tx.QueryRow(ctx, "select name from gameday_run where name = $1 for update", storable(run)).Scan(&found)
		if errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("run %s: %w", run, ErrNotFound)
		}
		if err != nil {
			return fmt.Errorf("lock run %s in %s: %w", run, p.where, err)
		}
		is, err := p.file(ctx, tx, run, name, "")
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		if !bytes.Equal(is, was) {
			return fmt.Errorf("%s of run %s was %w", name, run, ErrChanged)
		}
		return putFile(ctx, tx, run, name, now)
	})
}
