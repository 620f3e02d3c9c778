package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	folderVariable = "RUN_JOB_TEST_FOLDER"
	shortLinger    = time.Second
	script         = "../../../base/run-job"
)

// TestMain makes this binary run-job itself where a test asks for it.
func TestMain(m *testing.M) {
	if given := os.Getenv(folderVariable); given != "" {
		folder, linger = given, shortLinger
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// form is one of the two programs, with a folder of its own instead of /run/job, and a second instead of 15.
type form struct {
	folder  string
	program []string
}

func (f form) command(arguments ...string) *exec.Cmd {
	made := exec.Command(f.program[0], append(f.program[1:], arguments...)...)
	made.Env = append(os.Environ(), folderVariable+"="+f.folder)
	return made
}

// result is how a run ended.
type result struct {
	code           int
	output, errors string
	took           time.Duration
}

func (f form) run(t *testing.T, arguments ...string) result {
	t.Helper()
	return f.start(t, arguments...).wait(t)
}

type running struct {
	*exec.Cmd
	begun          time.Time
	output, errors bytes.Buffer
}

func (f form) start(t *testing.T, arguments ...string) *running {
	t.Helper()
	made := &running{Cmd: f.command(arguments...), begun: time.Now()}
	made.Stdout, made.Stderr = &made.output, &made.errors
	made.Stdin = strings.NewReader("from outside")
	if err := made.Start(); err != nil {
		t.Fatal(err)
	}
	return made
}

func (r *running) wait(t *testing.T) result {
	t.Helper()
	err := r.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{
		code: r.ProcessState.ExitCode(), output: r.output.String(), errors: r.errors.String(), took: time.Since(r.begun),
	}
}

func (f form) has(name string) bool {
	_, err := os.Stat(filepath.Join(f.folder, name))
	return err == nil
}

func (f form) waitFor(t *testing.T, name string) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !f.has(name); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s does not appear", name)
		}
	}
}

func goProgram(t *testing.T) form {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return form{folder: t.TempDir(), program: []string{self}}
}

func shellScript(t *testing.T) form {
	t.Helper()
	content, err := os.ReadFile(script)
	if err != nil {
		t.Fatal(err)
	}
	made := form{folder: t.TempDir(), program: []string{"bash", filepath.Join(t.TempDir(), "run-job")}}
	text := strings.ReplaceAll(string(content), "/run/job/", made.folder+"/")
	text = strings.Replace(text, "linger_seconds=15\n", "linger_seconds=1\n", 1)
	if strings.Count(text, "linger_seconds=1\n") != 1 {
		t.Fatal("the script does not stay for 15 seconds, as the Go program does")
	}
	if err := os.WriteFile(made.program[1], []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return made
}

// TestContract holds both forms to what images/README.md says of run-job.
func TestContract(t *testing.T) {
	if folder != "/run/job" || linger != 15*time.Second {
		t.Fatal("the Go program has another folder, or stays for another time, than images/README.md says")
	}
	forms := map[string]func(*testing.T) form{"Go program": goProgram, "shell script": shellScript}
	for name, prepare := range forms {
		for _, one := range contract {
			t.Run(name+"/"+one.says, func(t *testing.T) {
				t.Parallel()
				one.test(t, prepare(t))
			})
		}
	}
}

var contract = []struct {
	says string
	test func(*testing.T, form)
}{
	{"a command is needed", func(t *testing.T, job form) {
		ended := job.run(t)

		expect(t, "exit code", ended.code, 64)
		expect(t, "errors", ended.errors, "run-job: no command given\n")
	}},
	{"success is marked, stays for a moment, and ends with 0", func(t *testing.T, job form) {
		ended := job.run(t, "echo", "done")

		expect(t, "exit code", ended.code, 0)
		expect(t, "output", ended.output, "done\nrun-job: echo succeeded\n")
		expect(t, "marked", job.has("succeeded"), true)
		expect(t, "stayed", ended.took >= shortLinger, true)
	}},
	{"failure is not marked, and ends at once with the command's code", func(t *testing.T, job form) {
		ended := job.run(t, "sh", "-c", "echo words >&2; exit 3")

		expect(t, "exit code", ended.code, 3)
		expect(t, "errors", ended.errors, "words\nrun-job: sh failed with exit code 3\n")
		expect(t, "marked", job.has("succeeded"), false)
		expect(t, "output", ended.output, "")
	}},
	{"a command that is not found ends with 127", func(t *testing.T, job form) {
		ended := job.run(t, "no-such-program")

		expect(t, "exit code", ended.code, 127)
		expect(t, "reported", strings.HasSuffix(ended.errors, "run-job: no-such-program failed with exit code 127\n"), true)
	}},
	{"a command that cannot be executed ends with 126", func(t *testing.T, job form) {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			t.Fatal(err)
		}

		expect(t, "exit code", job.run(t, file).code, 126)
	}},
	{"a command that a signal kills ends with 128 and its number", func(t *testing.T, job form) {
		expect(t, "exit code", job.run(t, "sh", "-c", "kill -KILL $$").code, 128+9)
	}},
	{"the command reads nothing", func(t *testing.T, job form) {
		expect(t, "output", job.run(t, "cat").output, "run-job: cat succeeded\n")
	}},
	{"a signal reaches the command as SIGTERM, and its code counts", func(t *testing.T, job form) {
		for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT} {
			ready := filepath.Join(job.folder, "ready")
			_ = os.Remove(ready)
			started := job.start(t, "sh", "-c", "trap 'exit 7' TERM; touch "+ready+"; while :; do sleep 0.05; done")
			job.waitFor(t, "ready")

			_ = started.Process.Signal(signal)

			expect(t, "exit code after "+signal.String(), started.wait(t).code, 7)
			expect(t, "marked", job.has("succeeded"), false)
		}
	}},
	{"a signal after the success ends it at once with 0", func(t *testing.T, job form) {
		for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT} {
			_ = os.Remove(filepath.Join(job.folder, "succeeded"))
			started := job.start(t, "true")
			job.waitFor(t, "succeeded")

			_ = started.Process.Signal(signal)

			expect(t, "exit code after "+signal.String(), started.wait(t).code, 0)
		}
	}},
	{"a second start is not successful before it is", func(t *testing.T, job form) {
		job.run(t, "true")

		expect(t, "exit code", job.run(t, "false").code, 1)

		expect(t, "marked", job.has("succeeded"), false)
	}},
	{"the health check is false unless the command succeeds in time", func(t *testing.T, job form) {
		expect(t, "exit code", job.run(t, "--succeeded").code, 1)
		expect(t, "exit code with a second", job.run(t, "--succeeded", "1").code, 1)
	}},
	{"the health check waits for the success", func(t *testing.T, job form) {
		check := job.start(t, "--succeeded", "30")

		job.run(t, "true")

		expect(t, "exit code", check.wait(t).code, 0)
	}},
	{"the health check answers at once only the first time", func(t *testing.T, job form) {
		job.run(t, "true")

		first, second := job.run(t, "--succeeded"), job.run(t, "--succeeded")

		expect(t, "exit code", first.code, 0)
		expect(t, "exit code of the second", second.code, 0)
		expect(t, "the second waited", second.took >= shortLinger, true)
	}},
	{"a health check is not true for anything but seconds", func(t *testing.T, job form) {
		expect(t, "successful", job.run(t, "--succeeded", "soon").code == 0, false)
	}},
}

func expect[T comparable](t *testing.T, what string, found, expected T) {
	t.Helper()
	if found != expected {
		t.Errorf("%s: %v instead of %v", what, found, expected)
	}
}
