package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"weir/admin/api"
)

// downloadTries is how often in a row a file may be cut off without a byte of it, and
// an export be told to wait.
const downloadTries = 8

// download brings the files of an export into a folder.
type download struct {
	cl     *client
	err    io.Writer
	dir    string
	export api.Export
	pause  time.Duration // before what has failed is tried again, the first time

	most int64 // that there ever was of the file that is being fetched
}

// unhurried is the client for answers that take as long as they take.
func (c *client) unhurried() *client {
	return &client{base: c.base, token: c.token, http: &http.Client{CheckRedirect: c.http.CheckRedirect}}
}

// fetch brings a file whole; one that was begun goes on where it was cut off.
func (d *download) fetch(ctx context.Context, f api.ExportFile) error {
	path := filepath.Join(d.dir, f.Name)
	if _, err := os.Stat(path); err == nil {
		return nil // whole: it got its name only then
	}
	file, err := os.OpenFile(path+partly, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	d.most = 0
	if err := d.patiently(ctx, func() error { return d.rest(ctx, f, file) }); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	return os.Rename(path+partly, path)
}

// errCut says that a file was cut off after some more bytes of it, errNothing before.
var (
	errCut     = errors.New("was cut off")
	errNothing = errors.New("nothing came")
)

// patiently tries again what was cut off or has to wait.
func (d *download) patiently(ctx context.Context, try func() error) error {
	for n := 1; ; n++ {
		err := try()
		switch {
		case err == nil || ctx.Err() != nil:
			return err
		case errors.Is(err, errCut):
			n = 0 // it goes on
		case !passing(err) || n >= downloadTries:
			return err
		}
		say(d.err, "%s; trying again\n", strings.TrimSuffix(err.Error(), "."))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(d.pause * time.Duration(max(1, n))):
		}
	}
}

// passing is whether an error may be gone in a moment.
func passing(err error) bool {
	var p *api.Problem
	var f *failure
	return errors.As(err, &p) && p.Retryable || errors.As(err, &f) && f.code == "cannot-connect" || errors.Is(err, errNothing)
}

// rest reads what a file still lacks.
func (d *download) rest(ctx context.Context, f api.ExportFile, file *os.File) error {
	at, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	header := http.Header{}
	if at > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", at))
		header.Set("If-Range", f.ETag)
	}
	resp, err := d.cl.stream(ctx, "/v1/exports/"+d.export.ID+"/files/"+f.Name, header)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusPartialContent:
	case http.StatusOK:
		at = 0
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return err
		}
		if err := file.Truncate(0); err != nil {
			return err
		}
	case http.StatusRequestedRangeNotSatisfiable:
		if resp.Header.Get("Content-Range") == "bytes */"+strconv.FormatInt(at, 10) {
			return nil // it was whole
		}
		if err := file.Truncate(0); err != nil {
			return err
		}
		return fmt.Errorf("%s: there is more of it here than there: %w", f.Name, errCut)
	}
	n, err := io.Copy(file, resp.Body)
	if err == nil || ctx.Err() != nil {
		return err
	}
	var disk *os.PathError
	switch {
	case errors.As(err, &disk):
		return err
	case at+n > d.most:
		d.most = at + n
		return fmt.Errorf("%s %w after %d bytes", f.Name, errCut, at+n)
	}
	return fmt.Errorf("%s: %w: %w", f.Name, errNothing, err)
}

// stream asks for a file. A refusal comes back as *api.Problem, but of a range.
func (c *client) stream(ctx context.Context, path string, header http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header = header
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Accept-Encoding", "identity")
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, unreachable("the gateway's management", c.base, err)
	}
	switch resp.StatusCode {
	case http.StatusOK, http.StatusPartialContent, http.StatusRequestedRangeNotSatisfiable:
		return resp, nil
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("reading the answer of %s: %w", c.base, err)
	}
	if err := decode(resp, raw, c.base, nil); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%s answered %s; is that the management address of a Weir gateway?", c.base, resp.Status)
}
