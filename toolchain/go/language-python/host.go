package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
)

// The runner script exits with this code when it has already shown the program's error.
const errorAlreadyShown = 32

// host answers the engine's calls. Calls that it does not define (code generation, `pulumi new` prompts, Cancel: the
// engine cancels a host that it has closed already) answer "unimplemented", which the engine takes as "not supported".
type host struct {
	pulumirpc.UnimplementedLanguageRuntimeServer

	alive  context.Context // done once `pulumi` asks the host to stop, or is gone
	engine string          // address of the engine's RPC server
	runner string          // path of the script that runs a program
}

func (h *host) GetPluginInfo(context.Context, *emptypb.Empty) (*pulumirpc.PluginInfo, error) {
	return &pulumirpc.PluginInfo{}, nil // built together with the CLI, so it has no version of its own
}

func (h *host) About(ctx context.Context, req *pulumirpc.AboutRequest) (*pulumirpc.AboutResponse, error) {
	python, err := findPython(ctx, req.Info)
	if err != nil {
		return nil, err
	}
	// Called before each preview and update. toolchain.About would start Python three times, for 0.4 s.
	if version := python.venvVersion(); version != "" {
		return &pulumirpc.AboutResponse{
			Executable: filepath.Join(python.prefix, "bin", "python"),
			Version:    version,
		}, nil
	}
	info, err := python.About(ctx)
	if err != nil {
		return nil, err
	}
	return &pulumirpc.AboutResponse{Executable: info.PythonExecutable, Version: info.PythonVersion.String()}, nil
}

func (h *host) GetRequiredPackages(
	ctx context.Context, req *pulumirpc.GetRequiredPackagesRequest,
) (*pulumirpc.GetRequiredPackagesResponse, error) {
	python, err := findPython(ctx, req.Info)
	if err != nil {
		return nil, err
	}
	packages, err := python.pulumiPackages(ctx)
	return &pulumirpc.GetRequiredPackagesResponse{Packages: packages}, err
}

func (h *host) GetProgramDependencies(
	ctx context.Context, req *pulumirpc.GetProgramDependenciesRequest,
) (*pulumirpc.GetProgramDependenciesResponse, error) {
	python, err := findPython(ctx, req.Info)
	if err != nil {
		return nil, err
	}
	installed, err := python.ListPackages(ctx, req.TransitiveDependencies)
	if err != nil {
		return nil, err
	}
	response := &pulumirpc.GetProgramDependenciesResponse{}
	for _, p := range installed {
		response.Dependencies = append(response.Dependencies, &pulumirpc.DependencyInfo{Name: p.Name, Version: p.Version})
	}
	return response, nil
}

func (h *host) InstallDependencies(
	req *pulumirpc.InstallDependenciesRequest, stream grpc.ServerStreamingServer[pulumirpc.InstallDependenciesResponse],
) error {
	python, err := resolve(req.Info)
	if err != nil {
		return err
	}
	closer, stdout, stderr, err := rpcutil.MakeInstallDependenciesStreams(
		&lockedStream[pulumirpc.InstallDependenciesResponse]{ServerStreamingServer: stream}, req.IsTerminal)
	if err != nil {
		return err
	}
	ctx, stop := h.untilStopped(stream.Context())
	defer stop()
	err = python.InstallDependencies(
		ctx, req.Info.ProgramDirectory, req.UseLanguageVersionTools, true, stdout, stderr)
	return errors.Join(err, closer.Close())
}

// Run runs a program to its end. Its output reaches the engine through the host's own.
func (h *host) Run(ctx context.Context, req *pulumirpc.RunRequest) (*pulumirpc.RunResponse, error) {
	python, err := findPython(ctx, req.Info)
	if err != nil {
		return nil, err
	}
	ctx, stop := h.untilStopped(ctx)
	defer stop()
	arguments := []string{
		"-u", h.runner,
		"--monitor", req.MonitorAddress,
		"--engine", h.engine,
		"--project", req.Project,
		"--root_directory", req.Info.RootDirectory,
		"--stack", req.Stack,
		"--organization", req.Organization,
		"--pwd", req.Pwd,
		"--dry_run", strconv.FormatBool(req.DryRun),
		"--parallel", strconv.Itoa(int(req.Parallel)),
		filepath.Join(req.Info.ProgramDirectory, req.Info.EntryPoint),
	}
	cmd, err := python.command(ctx, append(arguments, req.Args...)...)
	if err != nil {
		return nil, err
	}
	cmd.Env = append(cmd.Environ(), configuration(req.Config, req.ConfigSecretKeys)...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr

	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return &pulumirpc.RunResponse{}, nil
	case ctx.Err() != nil, errors.As(err, &exit) && exit.ExitCode() == errorAlreadyShown:
		return &pulumirpc.RunResponse{Bail: true}, nil // nothing to add to what was shown
	case errors.As(err, &exit):
		return &pulumirpc.RunResponse{Error: fmt.Sprintf("the Python program ended with %s", exit)}, nil
	default:
		return nil, fmt.Errorf("starting the Python program: %w", err)
	}
}

// RunPlugin runs a policy pack or a component provider that is written in Python, until the engine closes the stream.
func (h *host) RunPlugin(
	req *pulumirpc.RunPluginRequest, stream grpc.ServerStreamingServer[pulumirpc.RunPluginResponse],
) error {
	locked := &lockedStream[pulumirpc.RunPluginResponse]{ServerStreamingServer: stream}
	closer, stdout, stderr, err := rpcutil.MakeRunPluginStreams(locked, false)
	if err != nil {
		return err
	}
	defer closer.Close()
	ctx, stop := h.untilStopped(stream.Context())
	defer stop()
	python, err := findPython(ctx, req.Info)
	if err != nil {
		return err
	}
	program := req.Info.ProgramDirectory

	if req.Kind == "analyzer" {
		err = runPolicyPack(ctx, python, program, req, stdout, stderr)
	} else {
		var cmd *exec.Cmd
		if cmd, err = python.command(ctx, append([]string{"-u", program}, req.Args...)...); err != nil {
			return err
		}
		cmd.Dir = req.Pwd
		cmd.Env = append(cmd.Environ(), req.Env...)
		cmd.Stdout, cmd.Stderr = stdout, stderr
		err = cmd.Run()
	}

	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return nil // the engine asked for the end
	case errors.As(err, &exit):
		return locked.Send(&pulumirpc.RunPluginResponse{
			Output: &pulumirpc.RunPluginResponse_Exitcode{Exitcode: int32(exit.ExitCode())},
		})
	default:
		return err
	}
}

// untilStopped bounds a call by the host's own life: a child process must not survive either of them.
func (h *host) untilStopped(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	context.AfterFunc(h.alive, cancel)
	return ctx, cancel
}

// configuration returns a stack's configuration as the variables in which the Python SDK looks for it.
func configuration(values map[string]string, secretKeys []string) []string {
	// The SDK reads JSON of exactly these types; a nil map or slice would become `null`.
	if values == nil {
		values = map[string]string{}
	}
	if secretKeys == nil {
		secretKeys = []string{}
	}
	config, _ := json.Marshal(values) // cannot fail: strings only
	secrets, _ := json.Marshal(secretKeys)
	return []string{"PULUMI_CONFIG=" + string(config), "PULUMI_CONFIG_SECRET_KEYS=" + string(secrets)}
}

// lockedStream lets standard output and standard error share a stream: gRPC forbids to send from two goroutines at once.
type lockedStream[T any] struct {
	grpc.ServerStreamingServer[T]
	lock sync.Mutex
}

func (s *lockedStream[T]) Send(message *T) error {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.ServerStreamingServer.Send(message)
}
