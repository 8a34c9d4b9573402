# shellcheck shell=bash disable=SC2034
# A site in one place: copy to sites/NAME.sh, edit, export SUITE_SITE=NAME. Plain assignments; an unknown name is refused.
# What programs read themselves (network interfaces and the like) is exported at the end.

SITE_PARTITION=                      # of sbatch; empty: the default one
SITE_ACCOUNT=${SUITE_ACCOUNT:-}      # that is charged; none: the site has no accounts
SITE_MAX_TIME=                       # longest --time, e.g. 24:00:00; longer plans pause and requeue; empty: no limit
SITE_GPUS_PER_NODE=0                 # 0: train on CPUs, one worker for each task but one
SITE_GRES=gpu                        # what --gres calls them: gpu, or gpu:a100
SITE_CPUS_PER_NODE=0                 # divided among a node's tasks; 0: leave --cpus-per-task to the site
SITE_MODULES=''                      # to load, separated by blanks, e.g. 'GCC OpenMPI apptainer'
SITE_MPI=mpirun                      # mpirun: Open MPI 5's (survives lost workers); pmix: srun, Open MPI; pmi2: srun, MPICH
SITE_MPI_ARGS=''                     # further options of the launcher
SITE_BINDS=''                        # folders for the container, SOURCE[:TARGET[:ro]], separated by commas; SUITE_RUNS,
                                     # SUITE_DATA and what the site binds by itself need no mention
SITE_BIND_MPI=                       # empty: the image's own MPI. A folder, or auto (that of mpirun on the PATH, after
                                     # SITE_MODULES): the MPI of this site is bound into the image in its place
SITE_GPU_FLAG=''                     # of apptainer: --nv, --rocm, or empty
SITE_ARGS=''                         # settings of the suite for every run here, e.g. 'tracking=later'
