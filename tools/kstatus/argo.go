package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// What Argo CD gives a script.
const patience = time.Second

// Argo CD takes any other word for Unknown.
var codes = []string{"Healthy", "Suspended", "Progressing", "Missing", "Degraded", "Unknown"}

// Runs script as Argo CD runs a health check from argocd-cm: the interpreter is the same, the object is the global obj,
// and of the libraries only those that every version gives are open. Other than Argo CD, it also asks the script about
// objects that are being deleted.
func argo(script string) judge {
	return func(object *unstructured.Unstructured) (verdict, error) {
		state := lua.NewState(lua.Options{SkipOpenLibs: true})
		defer state.Close()
		for _, library := range []struct {
			name string
			open lua.LGFunction
		}{
			{lua.LoadLibName, lua.OpenPackage},
			{lua.BaseLibName, lua.OpenBase},
			{lua.TabLibName, lua.OpenTable},
		} {
			call := lua.P{Fn: state.NewFunction(library.open), Protect: true}
			if err := state.CallByParam(call, lua.LString(library.name)); err != nil {
				return verdict{}, err
			}
		}
		deadline, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		state.SetContext(deadline)
		state.SetGlobal("obj", value(state, object.Object))
		if err := state.DoString(script); err != nil {
			return verdict{}, err
		}
		health, ok := state.Get(-1).(*lua.LTable)
		if !ok {
			return verdict{}, fmt.Errorf("the script returned a %s, not a table", state.Get(-1).Type())
		}
		code := lua.LVAsString(health.RawGetString("status"))
		if !slices.Contains(codes, code) {
			return verdict{}, fmt.Errorf("the script returned the status %q, which Argo CD does not know", code)
		}
		return verdict{code, lua.LVAsString(health.RawGetString("message"))}, nil
	}
}

func value(state *lua.LState, from any) lua.LValue {
	switch from := from.(type) {
	case bool:
		return lua.LBool(from)
	case string:
		return lua.LString(from)
	case int64:
		return lua.LNumber(from)
	case float64:
		return lua.LNumber(from)
	case []any:
		list := state.CreateTable(len(from), 0)
		for _, item := range from {
			list.Append(value(state, item))
		}
		return list
	case map[string]any:
		table := state.CreateTable(0, len(from))
		for key, item := range from {
			table.RawSetString(key, value(state, item))
		}
		return table
	default:
		return lua.LNil
	}
}
