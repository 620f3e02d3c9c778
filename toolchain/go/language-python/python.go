package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/util/cmdutil"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/pulumi/pulumi/sdk/v3/python/toolchain"
)

// How long a stopped Python may take to end. Shorter than the second that the engine gives this host.
const stopGrace = 500 * time.Millisecond

// python is the interpreter that a project's Pulumi.yaml (or PulumiPolicy.yaml) asks for.
type python struct {
	toolchain.Toolchain
	prefix string // folder whose bin/python it is; a virtual environment if it holds a pyvenv.cfg
}

// resolve reads the options `toolchain` (pip, poetry, uv) and `virtualenv` of a project's runtime.
func resolve(info *pulumirpc.ProgramInfo) (toolchain.Toolchain, error) {
	options := toolchain.PythonOptions{Root: info.RootDirectory, ProgramDir: info.ProgramDirectory}
	fields := info.GetOptions().GetFields()
	options.Virtualenv = fields["virtualenv"].GetStringValue()
	switch name := fields["toolchain"].GetStringValue(); name {
	case "":
		options.Toolchain = toolchain.Auto
	case "pip":
		options.Toolchain = toolchain.Pip
	case "poetry":
		options.Toolchain = toolchain.Poetry
	case "uv":
		options.Toolchain = toolchain.Uv
	default:
		return nil, fmt.Errorf("runtime option toolchain: %q is none of pip, poetry, uv", name)
	}
	return toolchain.ResolveToolchain(options)
}

// findPython returns a project's interpreter; an error says how to create a virtual environment that is missing.
func findPython(ctx context.Context, info *pulumirpc.ProgramInfo) (*python, error) {
	tools, err := resolve(info)
	if err != nil {
		return nil, err
	}
	if err := tools.ValidateVenv(ctx); err != nil {
		return nil, err
	}
	prefix, err := tools.VirtualEnvPath(ctx)
	if err != nil {
		return nil, err
	}
	if prefix == "" { // Pulumi.yaml names no environment; often one is activated all the same, so its Python is on PATH
		cmd, err := tools.Command(ctx)
		if err != nil {
			return nil, err
		}
		prefix = filepath.Dir(filepath.Dir(cmd.Path))
	}
	return &python{Toolchain: tools, prefix: prefix}, nil
}

// command prepares a run of Python that ends with ctx.
func (p *python) command(ctx context.Context, arguments ...string) (*exec.Cmd, error) {
	cmd, err := p.Command(ctx, arguments...)
	if err != nil {
		return nil, err
	}
	// The engine stops this host by an interrupt to its whole process group. In a group of its own Python gets none, which
	// would make it print a KeyboardInterrupt traceback, but the silent SIGTERM below.
	cmdutil.RegisterProcessGroup(cmd)
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = stopGrace
	return cmd, nil
}

// venvVersion returns Python's version from the virtual environment's own file; empty outside of one.
func (p *python) venvVersion() string {
	file, err := os.Open(filepath.Join(p.prefix, "pyvenv.cfg"))
	if err != nil {
		return ""
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), "=")
		switch strings.TrimSpace(key) {
		case "version", "version_info": // as the venv module writes it, and as uv and virtualenv do
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// pulumiPackages lists the plugins that installed Python packages say they need.
func (p *python) pulumiPackages(ctx context.Context) ([]*pulumirpc.PackageDependency, error) {
	folders, err := p.packageFolders(ctx)
	if err != nil {
		return nil, err
	}
	var packages []*pulumirpc.PackageDependency
	for _, folder := range folders {
		files, err := filepath.Glob(filepath.Join(folder, "*", "pulumi-plugin.json"))
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			var plugin struct {
				Resource              bool
				Name, Version, Server string
			}
			content, err := os.ReadFile(file)
			if err == nil {
				err = json.Unmarshal(content, &plugin)
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			if plugin.Resource {
				packages = append(packages, &pulumirpc.PackageDependency{
					Name: plugin.Name, Kind: "resource", Version: plugin.Version, Server: plugin.Server,
				})
			}
		}
	}
	return packages, nil
}

// packageFolders returns the folders of installed packages, without a start of Python in a virtual environment.
func (p *python) packageFolders(ctx context.Context) ([]string, error) {
	if p.venvVersion() != "" {
		return filepath.Glob(filepath.Join(p.prefix, "lib", "python*", "site-packages"))
	}
	cmd, err := p.command(ctx, "-c", "import site; print(*site.getsitepackages(), sep='\\n')")
	if err != nil {
		return nil, err
	}
	output, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("finding the folders of Python's packages: %w", err)
	}
	return strings.Split(strings.TrimSpace(string(output)), "\n"), nil
}
