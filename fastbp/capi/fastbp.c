/* Starts Python in a program of C or Fortran, and gets models from it: see fastbp.h.
 *
 * All that Python is asked goes through `answer` of fastbp/capi/embedded.py, which returns an int or
 * the text of what was raised.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <fenv.h>
#include <signal.h>
#include <string.h>

#include "fastbp.h"

static const char *const texts[] = {
    "done",
    "the model or an array is NULL",
    "there is no fastbp_model at this address, or it is of another version of fastbp.h",
    "the model is closed: its trainer is gone",
    "the network scales since the model was made: make another",
    "another thread is training with this model",
    "the model is of a network without a trainer, which only predicts",
    "this version of fastbp does not know the task",
    "the network is of the other type: float or double",
    "an address is no multiple of the size of what should be there",
    "rows is below 1 or above most_rows of the model",
    "X has other columns than the network has inputs",
    "y has not the columns of targets or outputs, or labels where none are taken",
    "out has other columns than expected, or a gradient another length",
    "out shares memory with another array",
    "X has NaN or Inf",
    "y has NaN, Inf, a label that there is not, or another value that the loss does not take",
    "the loss is not finite: there was no update",
    "fastbp_start has not been called",
    "Python raised an exception",
    "the network embeds numbers: it has no derivatives by its inputs",
};

/* What Python said last, and the function that answers. The GIL guards both. */
static char said[2048];
static PyObject *answer;

const char *fastbp_message(int status)
{
    if (status == FASTBP_PYTHON && said[0])
        return said;
    if (status < 0 || status >= (int)(sizeof texts / sizeof *texts))
        return "no status of fastbp";
    return texts[status];
}

static int failed(const char *text)
{
    strncpy(said, text ? text : "", sizeof said - 1);
    return FASTBP_PYTHON;
}

/* The status of a result of Python's: an int to *place, or a text. Takes the reference. */
static int take(PyObject *result, int64_t *place)
{
    int status = FASTBP_OK;
    if (result && PyLong_Check(result))
        *place = PyLong_AsLongLong(result);
    else
        status = failed(result && PyUnicode_Check(result) ? PyUnicode_AsUTF8(result) : NULL);
    Py_XDECREF(result);
    PyErr_Clear();
    return status;
}

/* Find `answer`: a Python without fastbp says what is missing. */
static int find_answer(void)
{
    static const char code[] = "try:\n"
                               "    from fastbp.capi.embedded import answer\n"
                               "except BaseException as error:\n"
                               "    import sys\n"
                               "    answer = f'{type(error).__name__}: {error} (the Python is '\n"
                               "    answer += f'{sys.executable}, its prefix {sys.prefix})'\n";
    PyObject *names, *done, *found;
    int64_t none;
    int status = FASTBP_OK;
    if (answer)
        return FASTBP_OK;
    names = PyDict_New();
    done = names ? PyRun_String(code, Py_file_input, names, names) : NULL;
    found = done ? PyDict_GetItemString(names, "answer") : NULL;
    Py_XINCREF(found);
    if (found && PyCallable_Check(found))
        answer = found;
    else
        status = take(found, &none);
    Py_XDECREF(done);
    Py_XDECREF(names);
    return status;
}

/* Ask Python for a task. *result is what it returns. */
static int ask(const char *task, const fastbp_model *model, const char *text, int64_t *result)
{
    fenv_t environment;
    PyGILState_STATE gil;
    int status;
    if (!Py_IsInitialized())
        return FASTBP_NOT_STARTED;
    if (!text)
        return FASTBP_NULL_POINTER;
    feholdexcept(&environment); /* NumPy's import is not made for traps */
    gil = PyGILState_Ensure();
    status = find_answer();
    if (status == FASTBP_OK)
        status = take(PyObject_CallFunction(answer, "yLy", task, (long long)(intptr_t)model, text),
            result);
    PyGILState_Release(gil);
    fesetenv(&environment);
    return status;
}

static int get_model(const char *task, const char *text, fastbp_model **model)
{
    int64_t place = 0;
    int status;
    if (!model)
        return FASTBP_NULL_POINTER;
    *model = NULL;
    status = ask(task, NULL, text, &place);
    if (status == FASTBP_OK)
        *model = (fastbp_model *)(intptr_t)place;
    return status;
}

static int initialize(const char *python)
{
    PyConfig config;
    PyStatus status;
    PyConfig_InitPythonConfig(&config);
    config.install_signal_handlers = 0;
    config.parse_argv = 0;
    status = PyStatus_Ok();
    if (python && *python)
        status = PyConfig_SetBytesString(&config, &config.program_name, python);
    if (!PyStatus_Exception(status))
        status = Py_InitializeFromConfig(&config);
    PyConfig_Clear(&config);
    if (PyStatus_Exception(status))
        return failed(status.err_msg);
    PyEval_SaveThread(); /* any thread may take the GIL from now on */
    return FASTBP_OK;
}

int fastbp_start(const char *python)
{
    fenv_t environment;
    struct sigaction interrupt;
    int64_t none;
    int status;
    if (Py_IsInitialized())
        return ask("begin", NULL, "", &none);
    feholdexcept(&environment);
    sigaction(SIGINT, NULL, &interrupt);
    status = initialize(python);
    if (status == FASTBP_OK)
        status = ask("begin", NULL, "", &none);
    sigaction(SIGINT, &interrupt, NULL); /* importing signal takes it, whatever the config */
    fesetenv(&environment);
    return status;
}

int fastbp_load(const char *path, fastbp_model **model)
{
    return get_model("load", path, model);
}

int fastbp_load_trainer(const char *path, fastbp_model **model)
{
    return get_model("load_trainer", path, model);
}

int fastbp_run(const char *code, fastbp_model **model)
{
    return get_model("run", code, model);
}

int fastbp_save(const fastbp_model *model, const char *path)
{
    int64_t none;
    int status = fastbp_state(model);
    return status == FASTBP_OK ? ask("save", model, path, &none) : status;
}

int fastbp_close(fastbp_model *model)
{
    int64_t none;
    int status = fastbp_state(model);
    return status == FASTBP_OK ? ask("close", model, "", &none) : status;
}
