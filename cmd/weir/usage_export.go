package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"weir/admin/api"
)

const (
	// exportState is the file that says which export a folder is for, and manifest the
	// one that says that it is whole.
	exportState = "export.json"
	manifest    = "manifest.json"
	// partly ends the name of a file that is not whole yet.
	partly = ".part"
)

type usageExportCmd struct {
	From     string `required:"" help:"First UTC hour or day, such as 2026-11-01 or 2026-11-22T19." placeholder:"TIME"`
	To       string `required:"" help:"Up to which, without it. Hours are sealed 15 minutes after their end." placeholder:"TIME"`
	Format   string `required:"" help:"jsonl or jsonl.gz (usage as CloudEvents), csv or parquet (usage), focus (charges, FOCUS 1.2)." placeholder:"FORMAT"`
	Out      string `required:"" help:"Folder for the files. Run again, the command goes on where it was." placeholder:"DIR"`
	Tenant   string `help:"Of which tenant. Default: the token's; of an operator, all." placeholder:"ID" env:"WEIR_TENANT"`
	Instance string `help:"Name or id. Default: all." placeholder:"NAME"`
	AsOf     string `help:"Leave out corrections sealed later, to make an earlier export again. RFC 3339. Default: a minute ago." placeholder:"TIME"`
	Names    bool   `help:"The breakdown by users and topics too."`
}

// exportFolder is what exportState holds.
type exportFolder struct {
	Request api.CreateExport `json:"request"`
	Export  api.Export       `json:"export"`
}

func (c *usageExportCmd) Run(ctx context.Context, e *env) error {
	cl, err := e.client()
	if err != nil {
		return err
	}
	folder, err := c.folder(ctx, cl)
	if err != nil {
		return err
	}
	d := download{cl: cl.unhurried(), err: e.err, dir: c.Out, export: folder.Export, pause: time.Second}
	for _, f := range d.export.Files {
		if err := d.fetch(ctx, f); err != nil {
			return err
		}
	}
	whole, err := d.check(ctx)
	if err != nil {
		return err
	}
	if err := writeJSON(filepath.Join(c.Out, manifest), whole); err != nil {
		return err
	}
	switch e.Output {
	case "json":
		return printJSON(e.out, whole)
	case "name":
		for _, f := range whole.Files {
			say(e.out, "%s\n", filepath.Join(c.Out, f.Name))
		}
		return nil
	}
	var rows [][]string
	for _, f := range whole.Files {
		rows = append(rows, []string{f.Name, strconv.FormatInt(*f.Rows, 10), strconv.FormatInt(*f.Bytes, 10), f.SHA256})
	}
	return printTable(e.out, []string{"FILE", "ROWS", "BYTES", "SHA256"}, rows)
}

// folder is the export that the folder is for: the one that was begun there, else a new
// one. Before there is one, nothing is written.
func (c *usageExportCmd) folder(ctx context.Context, cl *client) (f exportFolder, err error) {
	f.Request = api.CreateExport{Format: c.Format, From: c.From, To: c.To, Tenant: c.Tenant, Instance: c.Instance, Names: c.Names}
	if c.AsOf != "" {
		at, err := time.Parse(time.RFC3339, c.AsOf)
		if err != nil {
			return f, &failure{code: "usage", exit: exitUsage, message: fmt.Sprintf("--as-of %.40q is no time like 2026-11-22T19:00:00Z", c.AsOf), try: []string{"weir usage export --help"}}
		}
		f.Request.AsOf = &at
	}
	path := filepath.Join(c.Out, exportState)
	raw, err := os.ReadFile(path)
	if err == nil {
		return f, f.same(c.Out, raw)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return f, unusable("--out", c.Out, err)
	}
	if err := cl.call(ctx, http.MethodPost, "/v1/exports", f.Request, &f.Export); err != nil {
		return f, err
	}
	for _, file := range f.Export.Files {
		if !plainFile(file.Name) {
			return f, fmt.Errorf("%s wants to write a file %.80q; is that the management address of a Weir gateway?", cl.base, file.Name)
		}
	}
	if err := os.MkdirAll(c.Out, 0o750); err != nil {
		return f, unusable("--out", c.Out, err)
	}
	if err := writeJSON(path, f); err != nil {
		return f, unusable("--out", c.Out, err)
	}
	return f, nil
}

// same reads which export was begun in a folder; it must be this one.
func (f *exportFolder) same(dir string, raw []byte) error {
	var was exportFolder
	if err := json.Unmarshal(raw, &was); err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(dir, exportState), err)
	}
	a, errA := json.Marshal(f.Request)
	b, errB := json.Marshal(was.Request)
	if err := errors.Join(errA, errB); err != nil {
		return err
	}
	if string(a) != string(b) {
		return &failure{
			code: "export-other", exit: exitConflict, try: []string{"weir usage export ... --out ANOTHER"},
			message: fmt.Sprintf("%s holds another export: %s from %s to %s", dir, was.Request.Format, was.Request.From, was.Request.To),
		}
	}
	f.Export = was.Export
	for _, file := range f.Export.Files {
		if !plainFile(file.Name) {
			return fmt.Errorf("%s names a file %.80q", filepath.Join(dir, exportState), file.Name)
		}
	}
	return nil
}

// plainFile is whether a name that a server sent is that of a file in the folder.
func plainFile(name string) bool {
	return name != "" && name[0] != '.' && filepath.IsLocal(name) && filepath.Base(name) == name && name != exportState && name != manifest
}

// writeJSON puts a file in the place of another one, whole or not at all.
func writeJSON(path string, v any) error {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", append(raw, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// check compares all files with the manifest, and fetches one that differs once more.
func (d *download) check(ctx context.Context) (whole api.Export, err error) {
	if err := d.patiently(ctx, func() error {
		return d.cl.call(ctx, http.MethodGet, "/v1/exports/"+d.export.ID, nil, &whole)
	}); err != nil {
		return whole, err
	}
	for _, f := range whole.Files {
		if !plainFile(f.Name) || f.Rows == nil || f.Bytes == nil {
			return whole, fmt.Errorf("the manifest of %s says too little of file %.80q", d.export.ID, f.Name)
		}
		for again := false; ; again = true {
			path := filepath.Join(d.dir, f.Name)
			sum, err := fileSum(path)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return whole, err
			}
			if sum == f.SHA256 {
				break
			}
			if again {
				return whole, &failure{
					code: "export-damaged", exit: exitFailed, try: []string{"weir usage export ... --out ANOTHER"},
					message: fmt.Sprintf("%s is not what the manifest says (SHA-256 %s): what is sealed has changed, or somebody changed the file", path, f.SHA256),
				}
			}
			say(d.err, "%s is not what the manifest says, reading it again\n", path)
			if err := errors.Join(removed(path), removed(path+partly)); err != nil {
				return whole, err
			}
			if err := d.fetch(ctx, f); err != nil {
				return whole, err
			}
		}
	}
	return whole, nil
}

func removed(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func fileSum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	_, err = io.Copy(sum, f)
	return hex.EncodeToString(sum.Sum(nil)), err
}
