! A closure learned while a simulation runs: the two-scale model of Lorenz (1996), in Fortran.
!
! A slow variable X of each of 36 cells feels the sum of 10 fast ones of its own, its closure:
!     dX/dt = X_{k-1} (X_{k+1} - X_{k-2}) - X_k + F - (h c / b) sum_j Y_{j,k}
! A coarse model has X alone. A network learns (X_{k-1}, X_k, X_{k+1}) -> closure of cell k from the
! cells of the running simulation, one update on all of them every tenth step. Then coarse forecasts
! run on it. All numbers are float64; Python is started once, at the beginning.
program closure
    use fastbp
    implicit none
    integer, parameter :: wp = c_double, cells = 36, fine = 10, forecasts = 20, leads = 40
    real(wp), parameter :: forcing = 10, h = 1, c = 10, b = 10, dt = 0.001_wp, dt_coarse = 0.005_wp
    integer, parameter :: steps_between = 10, steps_of_lead = 10, spin_up = 5000
    type(fastbp_model), pointer :: model
    real(wp) :: X(cells), Y(fine, cells), features(3, cells), wanted(1, cells), found(1, cells)
    real(wp) :: errors(leads, 3), closure_errors(2), mean, deviation
    real(c_double) :: loss
    character(300) :: argument
    integer :: file, i, updates

    call get_command_argument(1, argument)
    call check(fastbp_start(argument))
    call get_command_argument(2, argument)
    read (argument, *) updates
    call begin()
    call check(fastbp_run(code(), model))
    closure_errors(1) = closure_error()
    call forecast(errors(:, 2), with_network=.true.)  ! of the network as it was drawn
    open(newunit=file, file='learning.txt', status='replace')
    do i = 1, updates
        call run_full(steps_between)
        call look()
        call check(fastbp_step(model, features, wanted, loss))
        write(file, *) i, sqrt(loss)  ! of targets that are scaled: relative to their deviation
    end do
    close(file)
    closure_errors(2) = closure_error()
    call forecast(errors(:, 3), with_network=.true.)
    call forecast(errors(:, 1), with_network=.false.)
    open(newunit=file, file='errors.txt', status='replace')
    do i = 1, leads
        write(file, *) i * steps_of_lead * dt_coarse, errors(i, :)
    end do
    close(file)
    call check(fastbp_save(model, 'closure.safetensors'))
    print '(a, i0, a, i0, a)', 'updates of the network: ', updates, ', each on ', cells, ' cells'
    print '(a, f6.3, a, f6.3)', 'error of the closure, relative to its deviation: before ', &
        closure_errors(1), ', after ', closure_errors(2)
    print '(a, f5.2, a)', 'error of coarse forecasts at t = ', leads * steps_of_lead * dt_coarse, &
        ', relative to the deviation of X:'
    print '(a, f6.3, a, f6.3, a, f6.3)', '  before ', errors(leads, 2), ', after ', &
        errors(leads, 3), ', with the mean closure ', errors(leads, 1)

contains

    subroutine check(status)
        integer(c_int), intent(in) :: status
        if (status == fastbp_ok) return
        print '(2a)', 'closure: ', fastbp_message(status)
        stop 1
    end subroutine

    ! A state on the attractor, and the mean and deviation of its closures.
    subroutine begin()
        integer :: k, times
        real(wp) :: total, squares
        do k = 1, cells
            X(k) = forcing * merge(1.01_wp, 1.0_wp, k == 1)
            Y(:, k) = 0.01_wp * [(mod(i * k, 7), i=1, fine)]
        end do
        call run_full(spin_up)
        total = 0
        squares = 0
        do times = 1, 200
            call run_full(steps_between)
            call look()
            total = total + sum(wanted)
            squares = squares + sum(wanted**2)
        end do
        mean = total / (200 * cells)
        deviation = sqrt(squares / (200 * cells) - mean**2)
    end subroutine

    function code() result(text)
        character(:), allocatable :: text
        character(200) :: scaling
        write(scaling, '(a, es22.15, a, es22.15, a)') 'target_mean=[', mean, '], target_scale=[', &
            deviation, '])'
        text = "import fastbp" // new_line('a') // &
            "net = fastbp.Network([3, 32, 32, 1], 'tanh', seed=0, dtype='float64')" // &
            new_line('a') // &
            "net.set_scaling(input_mean=[2.5] * 3, input_scale=[3.5] * 3, " // trim(scaling) // &
            new_line('a') // &
            "trainer = fastbp.Trainer(net, loss='mse', optimizer=fastbp.Adam(lr=2e-3), " // &
            "batch_size=36, seed=0)"
    end function

    ! The features and the closure of each cell of the full model now.
    subroutine look()
        call see(X)
        wanted(1, :) = h * c / b * sum(Y, dim=1)
    end subroutine

    subroutine see(state)
        real(wp), intent(in) :: state(cells)
        features(1, :) = cshift(state, -1)
        features(2, :) = state
        features(3, :) = cshift(state, 1)
    end subroutine

    ! The root mean square error of the closure on 50 states ahead, relative to its deviation.
    real(wp) function closure_error()
        integer :: times
        closure_error = 0
        do times = 1, 50
            call run_full(steps_between)
            call look()
            call check(fastbp_predict(model, features, found))
            closure_error = closure_error + sum((found - wanted)**2) / (50 * cells)
        end do
        closure_error = sqrt(closure_error) / deviation
    end function

    pure function slow_rate(state, closures) result(rate)
        real(wp), intent(in) :: state(cells), closures(cells)
        real(wp) :: rate(cells)
        rate = cshift(state, -1) * (cshift(state, 1) - cshift(state, -2)) - state + forcing - closures
    end function

    pure function fast_rate(fast, state) result(rate)
        real(wp), intent(in) :: fast(fine * cells), state(cells)
        real(wp) :: rate(fine * cells)
        rate = -c * b * cshift(fast, 1) * (cshift(fast, 2) - cshift(fast, -1)) - c * fast + &
            h * c / b * reshape(spread(state, 1, fine), [fine * cells])
    end function

    ! Steps of the full model, by RK4.
    subroutine run_full(count)
        integer, intent(in) :: count
        real(wp) :: dX(cells, 4), dY(fine * cells, 4), at(cells), flat(fine * cells)
        real(wp), parameter :: reach(4) = [0.0_wp, 0.5_wp, 0.5_wp, 1.0_wp]
        integer :: step, stage
        do step = 1, count
            do stage = 1, 4
                at = X
                flat = reshape(Y, [fine * cells])
                if (stage > 1) at = at + reach(stage) * dt * dX(:, stage - 1)
                if (stage > 1) flat = flat + reach(stage) * dt * dY(:, stage - 1)
                dX(:, stage) = slow_rate(at, h * c / b * sum(reshape(flat, [fine, cells]), dim=1))
                dY(:, stage) = fast_rate(flat, at)
            end do
            X = X + dt / 6 * (dX(:, 1) + 2 * dX(:, 2) + 2 * dX(:, 3) + dX(:, 4))
            Y = Y + dt / 6 * reshape(dY(:, 1) + 2 * dY(:, 2) + 2 * dY(:, 3) + dY(:, 4), [fine, cells])
        end do
    end subroutine

    ! The root mean square error of coarse forecasts at each lead time, relative to X's deviation.
    subroutine forecast(error, with_network)
        real(wp), intent(out) :: error(leads)
        logical, intent(in) :: with_network
        real(wp) :: coarse(cells), total, squares
        integer :: start, lead, step
        error = 0
        total = 0
        squares = 0
        do start = 1, forecasts
            coarse = X
            do lead = 1, leads
                do step = 1, steps_of_lead
                    call coarse_step(coarse, with_network)
                end do
                call run_full(nint(steps_of_lead * dt_coarse / dt))
                error(lead) = error(lead) + sum((coarse - X)**2)
                total = total + sum(X)
                squares = squares + sum(X**2)
            end do
        end do
        total = total / (forecasts * leads * cells)
        squares = squares / (forecasts * leads * cells) - total**2
        error = sqrt(error / (forecasts * cells) / squares)
    end subroutine

    ! A step of the coarse model, by RK4.
    subroutine coarse_step(state, with_network)
        real(wp), intent(inout) :: state(cells)
        logical, intent(in) :: with_network
        real(wp) :: rate(cells, 4), at(cells)
        real(wp), parameter :: reach(4) = [0.0_wp, 0.5_wp, 0.5_wp, 1.0_wp]
        integer :: stage
        found = mean
        do stage = 1, 4
            at = state
            if (stage > 1) at = at + reach(stage) * dt_coarse * rate(:, stage - 1)
            call see(at)
            if (with_network) call check(fastbp_predict(model, features, found))
            rate(:, stage) = slow_rate(at, found(1, :))
        end do
        state = state + dt_coarse / 6 * (rate(:, 1) + 2 * rate(:, 2) + 2 * rate(:, 3) + rate(:, 4))
    end subroutine

end program
