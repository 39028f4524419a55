package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// devDir is the folder that weir dev keeps beside a project.
const devDir = ".weir"

// nearest finds a file of the nearest .weir, walking up from here.
func nearest(name string) (string, bool) {
	dir, err := os.Getwd()
	if err != nil {
		return "", false
	}
	for {
		path := filepath.Join(dir, devDir, name)
		if _, err := os.Stat(path); err == nil {
			return path, true
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", false
		}
		dir = parent
	}
}

// devInfo is what we need of dev.json, which weir dev writes.
type devInfo struct {
	Admin string `json:"admin"` // http://host:port
}

// server is the management address: flag or WEIR_SERVER, else that of the
// nearest weir dev.
func (g globals) server() (string, error) {
	if g.Server != "" {
		return webAddress(g.Server)
	}
	path, ok := nearest("dev.json")
	if !ok {
		return "", notHere("no server given, and no .weir/dev.json here or above", "weir --server URL ...")
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	var dev devInfo
	if err := json.Unmarshal(raw, &dev); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	if dev.Admin == "" {
		return "", fmt.Errorf("%s: names no admin address", path)
	}
	return dev.Admin, nil
}

// token is the bearer token: of --token-file or WEIR_TOKEN_FILE, else that of
// the nearest weir dev.
func (g globals) token() (string, error) {
	path := g.TokenFile
	if path == "" {
		found, ok := nearest("admin.token")
		if !ok {
			return "", notHere("no token file given, and no .weir/admin.token here or above", "weir --token-file FILE ...")
		}
		path = found
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return "", unreadable("--token-file", path, err)
	}
	token := strings.TrimSpace(string(raw))
	if token == "" {
		return "", &failure{
			code: "token-file-empty", exit: exitUsage, message: "--token-file " + path + " is empty: it must have a bearer token in it",
			try: []string{"weir --token-file FILE ..."},
		}
	}
	return token, nil
}

// webAddress is a management address as a person writes it, without what is added to it.
func webAddress(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		failed := &failure{code: "usage", exit: exitUsage, message: fmt.Sprintf("--server %.80q is no address like http://127.0.0.1:9080", text)}
		if _, _, err := net.SplitHostPort(text); err == nil {
			failed.try = []string{"weir --server http://" + text + " ..."}
		}
		return "", failed
	}
	return strings.TrimSuffix(strings.TrimSuffix(text, "/"), "/v1"), nil
}

func notHere(message, flag string) error {
	return &failure{code: "no-context", message: message, try: []string{"weir dev", flag}, exit: exitUsage}
}
