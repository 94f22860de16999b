! fastbp in Fortran: predict and train with a model that Python has made, in the same process.
!
!     use fastbp
!     type(fastbp_model), pointer :: model
!     real :: X(3, rows), y(2, rows), out(2, rows)
!     real(c_double) :: loss
!
!     if (fastbp_start() /= fastbp_ok) stop 'no Python'
!     status = fastbp_load_trainer('trainer.safetensors', model)
!     status = fastbp_step(model, X, y, loss)
!     status = fastbp_predict(model, X, out)
!     if (status /= fastbp_ok) print *, fastbp_message(status)
!
! Arrays are (features, rows), of the kind of the network: c_float or c_double. One row may be of
! rank 1. A gradient is (model%parameters). fastbp.h says what the functions do, what threads may
! do, and what each status means; fastbp_wrong_shape: arrays have not the same number of rows.
! A program in which Python runs already gets a model by c_f_pointer of the address of a Handle.
module fastbp_base
    use, intrinsic :: iso_c_binding
    implicit none
    public

    enum, bind(c)
        enumerator :: fastbp_wrong_shape = -1
        enumerator :: fastbp_ok, fastbp_null_pointer, fastbp_no_model, fastbp_closed, fastbp_stale
        enumerator :: fastbp_busy, fastbp_no_trainer, fastbp_wrong_task, fastbp_wrong_type
        enumerator :: fastbp_misaligned, fastbp_wrong_rows, fastbp_wrong_x, fastbp_wrong_y
        enumerator :: fastbp_wrong_out, fastbp_overlap, fastbp_invalid_x, fastbp_invalid_y
        enumerator :: fastbp_not_finite, fastbp_not_started, fastbp_python, fastbp_no_derivatives
    end enum

    ! struct fastbp_model of fastbp.h
    type, bind(c) :: fastbp_model
        integer(c_int64_t) :: version, state, itemsize, inputs, outputs, targets, parameters
        integer(c_int64_t) :: most_rows, has_labels
        type(c_funptr) :: call
        integer(c_int64_t) :: handle, busy
    end type

    integer(c_int64_t), parameter :: interface__ = int(z'6661737462700001', c_int64_t)
    integer(c_int64_t), parameter :: labels__ = -1, none__ = 0
    integer(c_int64_t), parameter :: predict__ = 0, step__ = 1, step_from__ = 2, gradients__ = 3
    integer(c_int64_t), parameter :: input_gradient__ = 4, jacobian__ = 5

    interface
        integer(c_int) function start__c(python) bind(c, name='fastbp_start')
            import
            character(kind=c_char), intent(in) :: python(*)
        end function
        integer(c_int) function load__c(path, model) bind(c, name='fastbp_load')
            import
            character(kind=c_char), intent(in) :: path(*)
            type(c_ptr), intent(out) :: model
        end function
        integer(c_int) function trainer__c(path, model) bind(c, name='fastbp_load_trainer')
            import
            character(kind=c_char), intent(in) :: path(*)
            type(c_ptr), intent(out) :: model
        end function
        integer(c_int) function run__c(code, model) bind(c, name='fastbp_run')
            import
            character(kind=c_char), intent(in) :: code(*)
            type(c_ptr), intent(out) :: model
        end function
        integer(c_int) function save__c(model, path) bind(c, name='fastbp_save')
            import
            type(c_ptr), value :: model
            character(kind=c_char), intent(in) :: path(*)
        end function
        integer(c_int) function close__c(model) bind(c, name='fastbp_close')
            import
            type(c_ptr), value :: model
        end function
        type(c_ptr) function message__c(status) bind(c, name='fastbp_message')
            import
            integer(c_int), value :: status
        end function
        integer(c_size_t) function strlen__c(text) bind(c, name='strlen')
            import
            type(c_ptr), value :: text
        end function
    end interface

    abstract interface
        integer(c_int64_t) function call__(model, task, itemsize, rows, X, x_columns, y, &
            y_columns, out, out_columns, loss) bind(c)
            import
            type(c_ptr), value :: model, X, y, out, loss
            integer(c_int64_t), value :: task, itemsize, rows, x_columns, y_columns, out_columns
        end function
    end interface

contains

    ! fastbp_ok, or why a model cannot be called.
    integer(c_int) function fastbp_state(model) result(status)
        type(fastbp_model), pointer, intent(in) :: model
        status = fastbp_null_pointer
        if (.not. associated(model)) return
        status = fastbp_no_model
        if (model%version == interface__) status = int(model%state, c_int)
    end function

    ! Call the model. x, y, out: addresses and columns.
    integer(c_int) function ask__(model, task, itemsize, rows, x, n_x, y, n_y, out, n_out, loss) &
        result(status)
        type(fastbp_model), pointer, intent(in) :: model
        integer(c_int64_t), intent(in) :: task, itemsize, rows, n_x, n_y, n_out
        type(c_ptr), intent(in) :: x, y, out
        real(c_double), intent(out), target :: loss
        procedure(call__), pointer :: call_model
        loss = transfer(int(z'7ff8000000000000', c_int64_t), loss)  ! NaN
        status = fastbp_state(model)
        if (status /= fastbp_ok) return
        call c_f_procpointer(model%call, call_model)
        status = int(call_model(c_loc(model), task, itemsize, rows, x, n_x, y, n_y, out, n_out, &
            c_loc(loss)), c_int)
    end function

end module fastbp_base

module fastbp_float
    use fastbp_base
    implicit none
    private
    integer, parameter :: wp = c_float
    include 'fastbp_calls.inc'
end module fastbp_float

module fastbp_double
    use fastbp_base
    implicit none
    private
    integer, parameter :: wp = c_double
    include 'fastbp_calls.inc'
end module fastbp_double

module fastbp
    use fastbp_base, only: fastbp_model, fastbp_state, fastbp_wrong_shape, fastbp_ok, &
        fastbp_null_pointer, fastbp_no_model, fastbp_closed, fastbp_stale, fastbp_busy, &
        fastbp_no_trainer, fastbp_wrong_task, fastbp_wrong_type, fastbp_misaligned, &
        fastbp_wrong_rows, fastbp_wrong_x, fastbp_wrong_y, fastbp_wrong_out, fastbp_overlap, &
        fastbp_invalid_x, fastbp_invalid_y, fastbp_not_finite, fastbp_not_started, fastbp_python, &
        fastbp_no_derivatives, &
        start__c, load__c, trainer__c, run__c, save__c, close__c, message__c, strlen__c
    use fastbp_float
    use fastbp_double
    use, intrinsic :: iso_c_binding, only: c_char, c_double, c_f_pointer, c_float, c_int, &
        c_int64_t, c_loc, c_null_char, c_null_ptr, c_ptr, c_size_t
    implicit none
    public
    private :: start__c, load__c, trainer__c, run__c, save__c, close__c, message__c, strlen__c
    private :: got__

contains

    ! Start Python, once. python: the file of the interpreter; without it python3 on the PATH.
    integer(c_int) function fastbp_start(python) result(status)
        character(*), intent(in), optional :: python
        if (present(python)) then
            status = start__c(trim(python)//c_null_char)
        else
            status = start__c(c_null_char)
        end if
    end function

    ! A network that Network.save wrote, to predict.
    integer(c_int) function fastbp_load(path, model) result(status)
        character(*), intent(in) :: path
        type(fastbp_model), pointer, intent(out) :: model
        type(c_ptr) :: place
        status = load__c(trim(path)//c_null_char, place)
        model => got__(status, place)
    end function

    ! A trainer that Trainer.save wrote.
    integer(c_int) function fastbp_load_trainer(path, model) result(status)
        character(*), intent(in) :: path
        type(fastbp_model), pointer, intent(out) :: model
        type(c_ptr) :: place
        status = trainer__c(trim(path)//c_null_char, place)
        model => got__(status, place)
    end function

    ! Run Python code that leaves a Trainer, or a Network to predict, in the variable trainer.
    integer(c_int) function fastbp_run(code, model) result(status)
        character(*), intent(in) :: code
        type(fastbp_model), pointer, intent(out) :: model
        type(c_ptr) :: place
        status = run__c(trim(code)//c_null_char, place)
        model => got__(status, place)
    end function

    ! Write the trainer, or the network, to a file.
    integer(c_int) function fastbp_save(model, path) result(status)
        type(fastbp_model), pointer, intent(in) :: model
        character(*), intent(in) :: path
        status = fastbp_null_pointer
        if (associated(model)) status = save__c(c_loc(model), trim(path)//c_null_char)
    end function

    ! Let the trainer go: later calls return fastbp_closed.
    integer(c_int) function fastbp_close(model) result(status)
        type(fastbp_model), pointer, intent(in) :: model
        status = fastbp_null_pointer
        if (associated(model)) status = close__c(c_loc(model))
    end function

    ! What a status means; for fastbp_python what Python said last.
    function fastbp_message(status) result(text)
        integer(c_int), intent(in) :: status
        character(:), allocatable :: text
        character(kind=c_char), pointer :: found(:)
        type(c_ptr) :: place
        integer :: i
        if (status == fastbp_wrong_shape) then
            text = 'arrays have not the same number of rows'
            return
        end if
        place = message__c(status)
        call c_f_pointer(place, found, [strlen__c(place)])
        allocate (character(size(found)) :: text)
        do i = 1, size(found)
            text(i:i) = found(i)
        end do
    end function

    function got__(status, place) result(model)
        integer(c_int), intent(in) :: status
        type(c_ptr), intent(in) :: place
        type(fastbp_model), pointer :: model
        model => null()
        if (status == fastbp_ok) call c_f_pointer(place, model)
    end function

end module fastbp
