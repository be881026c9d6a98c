// Command kstatus judges objects as others do, so that our own judgement can be compared with theirs.
//
//	kstatus            as Flux and Helm 4 do: kstatus of fluxcd/cli-utils
//	kstatus lua FILE   as Argo CD does: FILE is the health script of the objects' kind
//
// It reads objects as JSON, one a line, from standard input, and answers each at once with a line
// `verdict<TAB>message`. What is not an object ends it with a message and status 1.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// A verdict and the words that go with it.
type verdict struct {
	code, message string
}

type judge func(*unstructured.Unstructured) (verdict, error)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "kstatus:", err)
		os.Exit(1)
	}
}

func run(arguments []string, in io.Reader, out io.Writer) error {
	switch {
	case len(arguments) == 0:
		return answer(kstatus, in, out)
	case len(arguments) == 2 && arguments[0] == "lua":
		script, err := os.ReadFile(arguments[1])
		if err != nil {
			return err
		}
		return answer(argo(string(script)), in, out)
	default:
		return errors.New("usage: kstatus [lua FILE], objects as JSON, one a line, on standard input")
	}
}

// Not a Scanner: an object may be longer than any line that one would think of.
func answer(judge judge, in io.Reader, out io.Writer) error {
	lines := bufio.NewReader(in)
	for number := 1; ; number++ {
		line, err := lines.ReadString('\n')
		if strings.TrimSpace(line) != "" {
			found, wrong := judgeLine(judge, line)
			if wrong != nil {
				return fmt.Errorf("line %d: %w", number, wrong)
			}
			if _, wrong := fmt.Fprintf(out, "%s\t%s\n", found.code, oneLine(found.message)); wrong != nil {
				return wrong
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// As controllers decode: whole numbers are int64, which kstatus insists on.
func judgeLine(judge judge, line string) (verdict, error) {
	var object unstructured.Unstructured
	if err := object.UnmarshalJSON([]byte(line)); err != nil {
		return verdict{}, err
	}
	return judge(&object)
}

func kstatus(object *unstructured.Unstructured) (verdict, error) {
	result, err := status.Compute(object)
	if err != nil {
		return verdict{}, err
	}
	return verdict{result.Status.String(), result.Message}, nil
}

func oneLine(text string) string {
	return strings.Join(strings.Fields(text), " ")
}
