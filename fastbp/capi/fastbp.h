/* fastbp in C: predict and train with a model that Python has made, in the same process.
 *
 * A model comes from Python in the process (fastbp.capi.Handle(trainer).address is a fastbp_model *),
 * or from fastbp_load, fastbp_load_trainer and fastbp_run below, which need fastbp.c. For double, all
 * names end in _double:
 *
 *     double loss;
 *     float x[3], y[2], out[2];
 *     int status = fastbp_step_float(model, 1, x, 3, y, 2, &loss);
 *     status = fastbp_predict_float(model, 1, x, 3, out, 2);
 *
 * Arrays are contiguous, row after row; each is followed by the number of its columns, which is
 * compared with the network's. rows is at most model->most_rows. Where the network scales, X, y and
 * outputs have the user's units. Nothing is allocated, no thread is started, and Python is not used.
 *
 * A call returns a status. Where it is not FASTBP_OK there was no update, and no array was written,
 * but that out is all NaN where predict, jacobian or input_gradient have met a value that is not
 * finite. loss may be NULL; it is NaN where a call of the model was not OK.
 *
 * Threads: any number of threads may call predict and jacobian. One at a time may call the other
 * functions, and a second one gets FASTBP_BUSY. While a thread trains, others predict with parameters
 * of before and after the update. Python may train the same network between calls, but not during
 * one. Two models are independent, unless they share a network. A process that forks may go on in
 * both.
 */
#ifndef FASTBP_H
#define FASTBP_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* declarations begin */
/* What all functions return. */
enum {
    FASTBP_OK = 0,            /* done */
    FASTBP_NULL_POINTER = 1,  /* the model or an array is NULL */
    FASTBP_NO_MODEL = 2,      /* no fastbp_model, or one of another version of fastbp.h */
    FASTBP_CLOSED = 3,        /* its trainer is gone */
    FASTBP_STALE = 4,         /* its network scales since: make another model */
    FASTBP_BUSY = 5,          /* another thread is training with it */
    FASTBP_NO_TRAINER = 6,    /* it only predicts */
    FASTBP_WRONG_TASK = 7,    /* not known to this version of fastbp */
    FASTBP_WRONG_TYPE = 8,    /* float for a network of double, or the reverse */
    FASTBP_MISALIGNED = 9,    /* an address is no multiple of the size of its type */
    FASTBP_WRONG_ROWS = 10,   /* below 1, or above most_rows */
    FASTBP_WRONG_X = 11,      /* X has not the columns of the inputs */
    FASTBP_WRONG_Y = 12,      /* y has not the columns of the targets or outputs; or no labels fit */
    FASTBP_WRONG_OUT = 13,    /* out has not the columns, a gradient or Jacobian not the length */
    FASTBP_OVERLAP = 14,      /* out shares memory with another array */
    FASTBP_INVALID_X = 15,    /* NaN or Inf */
    FASTBP_INVALID_Y = 16,    /* NaN, Inf, an unknown label, or what the loss does not take */
    FASTBP_NOT_FINITE = 17,   /* the loss */
    FASTBP_NOT_STARTED = 18,  /* fastbp_start has not been called */
    FASTBP_PYTHON = 19,       /* Python raised an exception: see fastbp_message */
    FASTBP_NO_DERIVATIVES = 20 /* its network embeds numbers */
};

/* What a call is to do. */
enum {
    FASTBP_PREDICT = 0,
    FASTBP_STEP = 1,
    FASTBP_STEP_FROM = 2,
    FASTBP_GRADIENTS = 3,
    FASTBP_INPUT_GRADIENT = 4,
    FASTBP_JACOBIAN = 5
};

/* In place of the columns of y: int64_t labels (rows). */
enum { FASTBP_LABELS = -1 };

/* A model. Fields may be read; they are those of the network, and do not change. */
typedef struct fastbp_model fastbp_model;

struct fastbp_model {
    int64_t version;    /* FASTBP_INTERFACE */
    int64_t state;      /* FASTBP_OK or FASTBP_CLOSED */
    int64_t itemsize;   /* bytes of a number: 4 or 8 */
    int64_t inputs;     /* columns of X */
    int64_t outputs;    /* columns of the outputs */
    int64_t targets;    /* columns of y; 0: the model only predicts */
    int64_t parameters; /* length of a gradient */
    int64_t most_rows;  /* of a call */
    int64_t has_labels; /* 1: y may be labels */
    /* All the functions below in one, for languages that cannot include this file. */
    int64_t (*call)(fastbp_model *model, int64_t task, int64_t itemsize, int64_t rows,
        const void *X, int64_t x_columns, const void *y, int64_t y_columns, void *out,
        int64_t out_columns, double *loss);
    int64_t handle; /* private, as what follows */
    int64_t busy;
};

/* Start Python, once, in a program that has none. These functions are in fastbp.c.
 *
 * python: the file of the interpreter, such as that of a virtual environment, whose packages are
 * used; NULL or "" for python3 on the PATH. The program handles signals as before, and its
 * floating-point environment stays as it was. The other functions may be called from any thread. */
int fastbp_start(const char *python);

/* A network that Network.save wrote, to predict. */
int fastbp_load(const char *path, fastbp_model **model);

/* A trainer that Trainer.save or ModelCheckpoint wrote. */
int fastbp_load_trainer(const char *path, fastbp_model **model);

/* Run Python code that leaves a Trainer, or a Network to predict, in the variable `trainer`. */
int fastbp_run(const char *code, fastbp_model **model);

/* Write the trainer, or the network, to a file, while no thread trains with it. */
int fastbp_save(const fastbp_model *model, const char *path);

/* Let the trainer go: later calls return FASTBP_CLOSED. No thread may be in a call. */
int fastbp_close(fastbp_model *model);

/* What a status means; for FASTBP_PYTHON what Python said last. */
const char *fastbp_message(int status);
/* declarations end */

/* "fastbp", and the version of the interface: a program goes with every fastbp that has the same. */
#define FASTBP_INTERFACE INT64_C(0x6661737462700001)

typedef char fastbp_needs_addresses_of_64_bits[sizeof(void *) == 8 ? 1 : -1];

/* FASTBP_OK, or why a model cannot be called. */
static inline int fastbp_state(const fastbp_model *model)
{
    if (!model)
        return FASTBP_NULL_POINTER;
    if ((uintptr_t)model % sizeof model->version != 0)
        return FASTBP_MISALIGNED;
    return model->version == FASTBP_INTERFACE ? (int)model->state : FASTBP_NO_MODEL;
}

static inline int fastbp_call(fastbp_model *model, int64_t task, int64_t itemsize, int64_t rows,
    const void *X, int64_t x_columns, const void *y, int64_t y_columns, void *out,
    int64_t out_columns, double *loss)
{
    int status = fastbp_state(model);
    return status != FASTBP_OK ? status
                               : (int)model->call(model, task, itemsize, rows, X, x_columns, y,
                                     y_columns, out, out_columns, loss);
}

/* The functions for arrays of a type, fastbp_..._float and fastbp_..._double:
 *
 * predict         Fill out (rows, outputs) with the outputs of X (rows, inputs).
 * step            Make one update of the trainer on X and y (rows, targets); its loss before it.
 * step_labels     The same for labels (rows), where has_labels is 1.
 * step_from       Make one update by a loss of your own, given its derivatives by the outputs,
 *                 dloss_dp (rows, outputs), which are not divided by rows.
 * gradients       Fill out (parameters) with the gradient of the mean loss: for each layer W
 *                 (inputs, outputs), b, and the gain and shift of a normalized layer.
 * gradients_labels  The same for labels (rows).
 * input_gradient  Fill out (rows, inputs) with J^T v of each row, where J (outputs, inputs) is the
 *                 derivative of the outputs by the inputs, and v is (rows, outputs).
 * jacobian        Fill out (rows, outputs, inputs) with J of each row; out_length: outputs * inputs.
 */
#define FASTBP_FUNCTIONS(real)                                                                   \
    static inline int fastbp_predict_##real(fastbp_model *model, int64_t rows, const real *X,     \
        int64_t x_columns, real *out, int64_t out_columns)                                        \
    {                                                                                             \
        return fastbp_call(model, FASTBP_PREDICT, sizeof(real), rows, X, x_columns, 0, 0, out,    \
            out_columns, 0);                                                                      \
    }                                                                                             \
    static inline int fastbp_step_##real(fastbp_model *model, int64_t rows, const real *X,        \
        int64_t x_columns, const real *y, int64_t y_columns, double *loss)                        \
    {                                                                                             \
        if (y_columns < 0)                                                                        \
            return FASTBP_WRONG_Y;                                                                \
        return fastbp_call(model, FASTBP_STEP, sizeof(real), rows, X, x_columns, y, y_columns, 0, \
            0, loss);                                                                             \
    }                                                                                             \
    static inline int fastbp_step_labels_##real(fastbp_model *model, int64_t rows, const real *X, \
        int64_t x_columns, const int64_t *labels, double *loss)                                   \
    {                                                                                             \
        return fastbp_call(model, FASTBP_STEP, sizeof(real), rows, X, x_columns, labels,          \
            FASTBP_LABELS, 0, 0, loss);                                                           \
    }                                                                                             \
    static inline int fastbp_step_from_##real(fastbp_model *model, int64_t rows, const real *X,   \
        int64_t x_columns, const real *dloss_dp, int64_t columns)                                 \
    {                                                                                             \
        return fastbp_call(model, FASTBP_STEP_FROM, sizeof(real), rows, X, x_columns, dloss_dp,   \
            columns, 0, 0, 0);                                                                    \
    }                                                                                             \
    static inline int fastbp_gradients_##real(fastbp_model *model, int64_t rows, const real *X,   \
        int64_t x_columns, const real *y, int64_t y_columns, real *out, int64_t out_length,       \
        double *loss)                                                                             \
    {                                                                                             \
        if (y_columns < 0)                                                                        \
            return FASTBP_WRONG_Y;                                                                \
        return fastbp_call(model, FASTBP_GRADIENTS, sizeof(real), rows, X, x_columns, y,          \
            y_columns, out, out_length, loss);                                                    \
    }                                                                                             \
    static inline int fastbp_gradients_labels_##real(fastbp_model *model, int64_t rows,           \
        const real *X, int64_t x_columns, const int64_t *labels, real *out, int64_t out_length,   \
        double *loss)                                                                             \
    {                                                                                             \
        return fastbp_call(model, FASTBP_GRADIENTS, sizeof(real), rows, X, x_columns, labels,     \
            FASTBP_LABELS, out, out_length, loss);                                                \
    }                                                                                             \
    static inline int fastbp_input_gradient_##real(fastbp_model *model, int64_t rows,             \
        const real *X, int64_t x_columns, const real *v, int64_t v_columns, real *out,            \
        int64_t out_columns)                                                                      \
    {                                                                                             \
        return fastbp_call(model, FASTBP_INPUT_GRADIENT, sizeof(real), rows, X, x_columns, v,     \
            v_columns, out, out_columns, 0);                                                      \
    }                                                                                             \
    static inline int fastbp_jacobian_##real(fastbp_model *model, int64_t rows, const real *X,    \
        int64_t x_columns, real *out, int64_t out_length)                                         \
    {                                                                                             \
        return fastbp_call(model, FASTBP_JACOBIAN, sizeof(real), rows, X, x_columns, 0, 0, out,   \
            out_length, 0);                                                                       \
    }

FASTBP_FUNCTIONS(float)
FASTBP_FUNCTIONS(double)

#undef FASTBP_FUNCTIONS

#ifdef __cplusplus
}
#endif

#endif
