package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"time"

	"weir/admin/api"
)

const (
	// callTimeout bounds one call; the server itself answers within 2 s and some.
	callTimeout = 30 * time.Second
	// maxAnswer bounds what is read of an answer; a page of 500 instances with
	// their certificates has about 1 MiB.
	maxAnswer = 16 << 20
)

// client calls the REST interface with one token. One goroutine.
type client struct {
	base, token string
	http        *http.Client
}

func (e *env) client() (*client, error) {
	base, err := e.server()
	if err != nil {
		return nil, err
	}
	token, err := e.token()
	if err != nil {
		return nil, err
	}
	return &client{base: base, token: token, http: &http.Client{
		Timeout: callTimeout,
		// The token is for this server only.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// call sends body (nil: none) and decodes the answer into out (nil: dropped).
// A refusal comes back as *api.Problem.
func (c *client) call(ctx context.Context, method, path string, body, out any) error {
	_, err := c.callWith(ctx, method, path, nil, body, out)
	return err
}

// callWith is call with more headers; it returns those of the answer.
func (c *client) callWith(ctx context.Context, method, path string, header http.Header, body, out any) (http.Header, error) {
	var sent io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		sent = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, sent)
	if err != nil {
		return nil, err
	}
	maps.Copy(req.Header, header)
	req.Header.Set("Authorization", "Bearer "+c.token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, unreachable("the gateway's management", c.base, err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("reading the answer of %s: %w", c.base, err)
	}
	return resp.Header, decode(resp, raw, c.base, out)
}

func decode(resp *http.Response, raw []byte, base string, out any) error {
	if strings.HasPrefix(resp.Header.Get("Content-Type"), api.ProblemContentType) {
		var p api.Problem
		if err := json.Unmarshal(raw, &p); err == nil {
			return &p
		}
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("%s answered %s; is that the management address of a Weir gateway?", base, resp.Status)
	}
	if out == nil || len(raw) == 0 {
		return nil
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return fmt.Errorf("%s answered what is not JSON; is that the management address of a Weir gateway?", base)
	}
	return nil
}

// copy writes what is at a path to w as it is. A refusal comes back as *api.Problem,
// and nothing is written.
func (c *client) copy(ctx context.Context, path string, w io.Writer) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return unreachable("the gateway's management", c.base, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusMultipleChoices {
		raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
		if err != nil {
			return fmt.Errorf("reading the answer of %s: %w", c.base, err)
		}
		return decode(resp, raw, c.base, nil)
	}
	if _, err := io.Copy(w, resp.Body); err != nil {
		return fmt.Errorf("reading the answer of %s: %w", c.base, err)
	}
	return nil
}
