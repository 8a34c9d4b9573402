# shellcheck shell=bash disable=SC2034
# One host for tests, without GPUs: Grid Engine, or the stand-in of PBS. Over loopback only.

SITE_QUEUE=
SITE_ACCOUNT=none
SITE_MAX_TIME=
SITE_GPUS_PER_NODE=0
SITE_CPUS_PER_NODE=0
SITE_PE=mpi
SITE_SUBMIT_ARGS=''
SITE_MODULES=''
SITE_MPI=mpirun
SITE_MPI_ARGS=''
SITE_BINDS=''
SITE_GPU_FLAG=''
SITE_ARGS='backend.device=cpu tracking=later'
export PRTE_MCA_if_include=lo OMPI_MCA_btl_tcp_if_include=lo
